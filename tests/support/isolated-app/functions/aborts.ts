import { action } from "@pylonsync/functions";

export default action({
  args: {},
  isolate: true,
  handler: () => {
    process.kill(process.pid, "SIGABRT");
    return new Promise<null>(() => undefined);
  },
});
