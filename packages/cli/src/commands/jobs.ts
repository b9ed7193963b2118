import { defineCommand } from "../command.ts";
import { EXIT } from "../output.ts";
import { actionOf, change, printList, printOne } from "../remote/actions.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

const ACTIONS = { list: false, show: true, retry: true, cancel: true };
const COLUMNS = ["id", "name", "queue", "status", "retry_count", "created_at", "error"];
const DEFAULT_LIMIT = "50";

/** `pylon jobs`: lists and controls the jobs of a running server. */
export const jobs = defineCommand({
  name: "jobs",
  args: ["list|show|retry|cancel", "[ID]"],
  summary:
    "List the jobs of a running server as its admin; show or cancel a job, or retry a dead one.",
  options: {
    url: URL_OPTION,
    status: {
      type: "string",
      value: "STATUS",
      summary: "list: only pending, running, retrying, completed, dead or cancelled ones.",
    },
    queue: { type: "string", value: "NAME", summary: "list: only those of one queue." },
    limit: {
      type: "string",
      value: "N",
      summary: `list: the number of newest entries; default ${DEFAULT_LIMIT}, at most 200.`,
    },
  },
  async run({ args, options, output, env }) {
    const { action, id } = actionOf("jobs", args, ACTIONS);
    const client = new AdminClient(options.url, env);
    const path = `/api/jobs/${encodeURIComponent(id)}`;
    switch (action) {
      case "list": {
        const { status, queue, limit = DEFAULT_LIMIT } = options;
        const query = new URLSearchParams({
          limit,
          ...(status === undefined ? {} : { status }),
          ...(queue === undefined ? {} : { queue }),
        });
        await printList(client, `/api/jobs?${query}`, COLUMNS, output);
        break;
      }
      case "show":
        await printOne(client, path, output);
        break;
      case "retry": {
        const dead = `/api/jobs/dead/${encodeURIComponent(id)}/retry`;
        await change(client, "POST", dead, `${id} will be retried.`, output);
        break;
      }
      case "cancel":
        await change(client, "DELETE", path, `${id} is cancelled.`, output);
    }
    return EXIT.OK;
  },
});
