import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

const ACTIONS = ["get", "set", "delete"];
const DEFAULT_TTL_SECS = 3_600;

/** `pylon cache`: shows, stores or deletes a value that functions keep in `ctx.cache`. */
export const cache = defineCommand({
  name: "cache",
  args: ["get|set|delete", "KEY", "[JSON]"],
  summary: "Get, set or delete a value of ctx.cache of a running server, as its admin.",
  options: {
    ttl: {
      type: "string",
      value: "SECS",
      summary: "With set: the time to live in seconds; " + "default 3600.",
    },
    url: URL_OPTION,
  },
  async run({ args, options, output, env }) {
    const [asked = "", key = "", text = ""] = args;
    if (!ACTIONS.includes(asked) || key === "")
      throw new CommandError(
        "USAGE",
        "Specify an action: `pylon cache get|set|delete KEY`.",
        EXIT.USAGE,
      );
    const value = asked === "set" ? valueOf(text) : null;
    const client = new AdminClient(options.url, env);
    const path = `/api/cache/${encodeURIComponent(key)}`;
    if (asked === "set") {
      const body = { key, value, ttl_secs: secondsOf(options.ttl) };
      const stored: unknown = await (
        await client.send("POST", "/api/cache", JSON.stringify(body))
      ).json();
      output.say(`${key} expires in ${body.ttl_secs} seconds.`);
      output.json(stored);
      return EXIT.OK;
    }
    if (asked === "delete") {
      await client.send("DELETE", path);
      output.say(`${key} is deleted.`);
      output.json({ deleted: true });
      return EXIT.OK;
    }
    const found: unknown = await (await client.get(path)).json();
    output.say(JSON.stringify(Object(found)["value"], null, 2));
    output.json(found);
    return EXIT.OK;
  },
});

/** @throws CommandError CACHE_INVALID_VALUE */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CommandError(
      "CACHE_INVALID_VALUE",
      `The value is not JSON: write pylon cache set KEY '"text"', in quotes.`,
      EXIT.USAGE,
    );
  }
}

/** @throws CommandError CACHE_INVALID_TTL */
function secondsOf(text: string | undefined): number {
  const seconds = text === undefined ? DEFAULT_TTL_SECS : Number(text);
  if (seconds > 0) return seconds;
  throw new CommandError(
    "CACHE_INVALID_TTL",
    "--ttl must be a number of seconds above " + "0.",
    EXIT.USAGE,
  );
}
