import { defineCommand } from "../command.ts";
import { EXIT } from "../output.ts";
import { actionOf, change, printList } from "../remote/actions.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

const ACTIONS = { list: false, retry: true };
const COLUMNS = ["id", "endpoint", "status", "attempts", "created_at", "next_attempt_at", "error"];
const PATH = "/api/admin/webhooks/deliveries";
const DEFAULT_LIMIT = "50";

/**
 * `pylon webhooks`: lists the deliveries of a running server to other servers, and retries them.
 */
export const webhooks = defineCommand({
  name: "webhooks",
  args: ["list|retry", "[ID]"],
  summary: "List the webhook deliveries of a running server as its admin, or retry a dead one.",
  options: {
    url: URL_OPTION,
    status: {
      type: "string",
      value: "STATUS",
      summary: "list: only pending, running, retrying, completed, dead or cancelled ones.",
    },
    limit: {
      type: "string",
      value: "N",
      summary: `list: the number of newest entries; default ${DEFAULT_LIMIT}, at most 200.`,
    },
  },
  async run({ args, options, output, env }) {
    const { action, id } = actionOf("webhooks", args, ACTIONS);
    const client = new AdminClient(options.url, env);
    if (action === "list") {
      const { status, limit = DEFAULT_LIMIT } = options;
      const query = new URLSearchParams({ limit, ...(status === undefined ? {} : { status }) });
      await printList(client, `${PATH}?${query}`, COLUMNS, output);
    } else {
      const path = `${PATH}/${encodeURIComponent(id)}/retry`;
      await change(client, "POST", path, `${id} will be retried.`, output);
    }
    return EXIT.OK;
  },
});
