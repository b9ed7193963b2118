import { query } from "@pylonsync/functions";

/** Blocks its process for a noticeable time, and returns the process id. */
export default query({
  args: {},
  handler: () => {
    const end = performance.now() + 1_050;
    while (performance.now() < end);
    return process.pid;
  },
});
