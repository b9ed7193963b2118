import { defineCommand } from "../command.ts";
import { EXIT } from "../output.ts";
import { actionOf, change, printList, printOne } from "../remote/actions.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

const ACTIONS = { list: false, show: true, stop: true, reset: true };
const COLUMNS = ["id", "running", "tick", "subscribers", "input_queue"];

/** `pylon shards`: lists the shards of a running server, and ends them. */
export const shards = defineCommand({
  name: "shards",
  args: ["list|show|stop|reset", "[ID]"],
  summary:
    "List the shards of a running server as its admin, show one, stop one (it goes on with the " +
    "next player), or reset one to its beginning.",
  options: { url: URL_OPTION },
  async run({ args, options, output, env }) {
    const { action, id } = actionOf("shards", args, ACTIONS);
    const client = new AdminClient(options.url, env);
    const path = `/api/shards/${encodeURIComponent(id)}`;
    switch (action) {
      case "list":
        await printList(client, "/api/shards", COLUMNS, output);
        break;
      case "show":
        await printOne(client, path, output);
        break;
      case "stop":
        await change(client, "POST", `${path}/stop`, `${id} is stopped and saved.`, output);
        break;
      case "reset":
        await change(client, "DELETE", path, `${id} is ended, and its state is gone.`, output);
    }
    return EXIT.OK;
  },
});
