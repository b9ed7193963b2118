import { query } from "@pylonsync/functions";

/** In which process it runs. */
export default query({ args: {}, handler: () => process.pid });
