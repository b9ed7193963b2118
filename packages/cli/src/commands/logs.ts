import { defineCommand } from "../command.ts";
import { CommandError, EXIT, type Output } from "../output.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

const LEVELS = ["debug", "info", "warn", "error"];
const DEFAULT_LIMIT = "100";
const MAX_LINES = 1_000;

/** `pylon logs`: shows and follows the log of a running server. */
export const logs = defineCommand({
  name: "logs",
  args: [],
  summary:
    "Show the newest log lines of a running server, as its admin. Requires " + "PYLON_ADMIN_TOKEN.",
  options: {
    url: URL_OPTION,
    follow: { type: "boolean", short: "f", summary: "Follow new lines, until Ctrl-C." },
    level: {
      type: "string",
      value: LEVELS.join("|"),
      summary:
        "The minimum severity to show; the server only logs lines of its own " +
        "PYLON_LOG_LEVEL or above.",
    },
    limit: {
      type: "string",
      value: "N",
      summary: `The number of newest lines; default ${DEFAULT_LIMIT}, at most ${MAX_LINES}.`,
    },
  },
  async run({ options, output, env }) {
    const { level = "debug", limit = DEFAULT_LIMIT, follow } = options;
    if (!LEVELS.includes(level))
      throw new CommandError(
        "LOGS_INVALID_LEVEL",
        `Unknown level "${level}": use ${LEVELS.join(", ")}.`,
        EXIT.USAGE,
      );
    if (!/^\d+$/.test(limit) || Number(limit) > MAX_LINES)
      throw new CommandError(
        "LOGS_INVALID_LIMIT",
        `--limit is "${limit}": expected a whole number up to ${MAX_LINES}.`,
        EXIT.USAGE,
      );
    const client = new AdminClient(options.url, env);
    const response = await client.get(
      `/api/admin/logs?level=${level}&limit=${limit}&follow=${follow ? "1" : "0"}`,
      { staysOpen: follow },
    );
    if (!output.isJson)
      output.warn(
        `# ${client.url}: behind a load balancer, this is the one replica that ` + `responded`,
      );
    await printLines(response, output);
    if (!follow) return EXIT.OK;
    output.warn("pylon: the server ended the stream: it is stopping, or this reader was too slow.");
    return EXIT.FAILED;
  },
});

async function printLines({ body }: Response, output: Output): Promise<void> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    // An empty line only keeps the connection alive.
    for (const line of lines) if (line !== "") output.line(output.isJson ? line : readable(line));
  }
}

/** `05:51:12.331 ERROR function failed function=fails`, with a stack below. */
function readable(line: string): string {
  const entry: Readonly<Record<string, unknown>> = JSON.parse(line);
  const { time, level, message, error, ...facts } = entry;
  const rest = Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`);
  const head = [
    String(time).slice(11, 23),
    String(level).toUpperCase().padEnd(5),
    String(message),
    ...rest,
  ].join(" ");
  return error === undefined ? head : `${head}\n${String(error)}`;
}
