import { defineCommand } from "../command.ts";
import { EXIT } from "../output.ts";
import { actionOf, change, printList } from "../remote/actions.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

const ACTIONS = { list: false, run: true };
const COLUMNS = ["name", "schedule", "timezone", "function", "next_run"];

/** `pylon crons`: lists the crons of a running server, and runs one now. */
export const crons = defineCommand({
  name: "crons",
  args: ["list|run", "[NAME]"],
  summary: "List the crons of a running server, as its admin, or run one now.",
  options: { url: URL_OPTION },
  async run({ args, options, output, env }) {
    const { action, id } = actionOf("crons", args, ACTIONS);
    const client = new AdminClient(options.url, env);
    if (action === "list") await printList(client, "/api/scheduler", COLUMNS, output);
    else {
      const path = `/api/scheduler/trigger/${encodeURIComponent(id)}`;
      await change(client, "POST", path, `${id} is being run.`, output);
    }
    return EXIT.OK;
  },
});
