import { action } from "@pylonsync/functions";

/** Never ends, but does not block the event loop of its process. */
export default action({
  args: {},
  isolate: true,
  handler: () => new Promise<null>(() => undefined),
});
