import { query } from "@pylonsync/functions";

/** A mistake of the app's: its message is for the log alone. */
export default query({
  args: {},
  handler: () => {
    throw new Error("a secret of the app");
  },
});
