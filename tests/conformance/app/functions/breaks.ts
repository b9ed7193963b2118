import { query } from "@pylonsync/functions";

/** Throws like a bug of the app: its message must only be logged. */
export default query({
  args: {},
  handler: () => {
    throw new Error("a secret of the app");
  },
});
