import { query } from "@pylonsync/functions";

export default query({ rateLimit: { max: 2, windowSecs: 3600 }, handler: () => process.pid });
