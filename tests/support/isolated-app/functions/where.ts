import { query } from "@pylonsync/functions";

/** Returns the process in which it runs. */
export default query({ args: {}, handler: () => process.pid });
