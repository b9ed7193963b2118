import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

/** `pylon run`: calls a function of a running server. */
export const run = defineCommand({
  name: "run",
  args: ["FUNCTION", "[ARGS]"],
  summary: "Call a function of a running server, including internal ones, and print the result.",
  options: {
    as: {
      type: "string",
      value: "USER",
      summary:
        "The id of the calling user, or an identity as JSON, such as " +
        `'{"userId": "ann", "roles": ["editor"]}'; default the admin.`,
    },
    url: URL_OPTION,
  },
  async run({ args, options, output, env }) {
    const [name = "", text = "{}"] = args;
    const { as = null } = options;
    const caller = as?.trim().startsWith("{") === true ? argsOf(as) : as;
    const call = { function: name, args: argsOf(text), as: caller };
    const client = new AdminClient(options.url, env);
    const result: unknown = await (
      await client.send("POST", "/api/run", JSON.stringify(call))
    ).json();
    output.say(JSON.stringify(result, null, 2));
    output.json({ code: "RUN_OK", result });
    return EXIT.OK;
  },
});

/** @throws CommandError RUN_INVALID_ARGS */
function argsOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CommandError(
      "RUN_INVALID_ARGS",
      `The text is not JSON: write it as '{"title": "Buy milk"}', in quotes.`,
      EXIT.USAGE,
    );
  }
}
