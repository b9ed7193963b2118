import { query } from "@pylonsync/functions";

/** Holds its process up for a moment that everybody notices, and says which process it was. */
export default query({
  args: {},
  handler: () => {
    const end = performance.now() + 1_050;
    while (performance.now() < end);
    return process.pid;
  },
});
