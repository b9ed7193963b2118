import { defineCommand } from "../command.ts";
import { EXIT, type Output } from "../output.ts";
import { actionOf, change, printList, printOne } from "../remote/actions.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";
import { columnsOf, fieldOf } from "../remote/columns.ts";

const ACTIONS = { list: false, show: true, cancel: true, retry: true };
const COLUMNS = ["id", "name", "status", "current_step", "waiting_for", "created_at", "error"];
const STEP_COLUMNS = ["step_id", "name", "status", "retry_count", "duration_ms", "error"];
const DEFAULT_LIMIT = "50";

/** `pylon workflows`: lists and controls the workflow runs of a running server. */
export const workflows = defineCommand({
  name: "workflows",
  args: ["list|show|cancel|retry", "[ID]"],
  summary: "List the workflow runs of a running server as its admin; show, cancel or retry a run.",
  options: {
    url: URL_OPTION,
    status: {
      type: "string",
      value: "STATUS",
      summary:
        "list: only pending, running, sleeping, waiting, completed, failed or cancelled " + "ones.",
    },
    limit: {
      type: "string",
      value: "N",
      summary: `list: the number of newest entries; default ${DEFAULT_LIMIT}, at most 200.`,
    },
  },
  async run({ args, options, output, env }) {
    const { action, id } = actionOf("workflows", args, ACTIONS);
    const client = new AdminClient(options.url, env);
    const path = `/api/workflows/${encodeURIComponent(id)}`;
    if (action === "list") {
      const { status, limit = DEFAULT_LIMIT } = options;
      const query = new URLSearchParams({ limit, ...(status === undefined ? {} : { status }) });
      await printList(client, `/api/workflows?${query}`, COLUMNS, output);
    } else if (action === "show") {
      const { steps } = await printOne(client, path, output);
      printSteps(steps, output);
    } else {
      const said = action === "cancel" ? `${id} is cancelled.` : `${id} is resumed.`;
      await change(client, "POST", `${path}/${action}`, said, output);
    }
    return EXIT.OK;
  },
});

function printSteps(steps: unknown, output: Output): void {
  if (!Array.isArray(steps) || steps.length === 0) return;
  const rows = steps.map((step: Readonly<Record<string, unknown>>) =>
    STEP_COLUMNS.map((name) => fieldOf(step, name)),
  );
  output.say();
  for (const line of columnsOf(
    STEP_COLUMNS.map((name) => name.replaceAll("_", " ")),
    rows,
  ))
    output.say(line);
}
