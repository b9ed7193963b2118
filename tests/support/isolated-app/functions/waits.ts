import { action } from "@pylonsync/functions";

/** Never ends, and leaves its process to its loop. */
export default action({
  args: {},
  isolate: true,
  handler: () => new Promise<null>(() => undefined),
});
