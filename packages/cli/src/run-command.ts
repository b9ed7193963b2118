import { parseArgs } from "node:util";
import { nearest } from "@pylonsync/query";
import type { Command, GivenOptions } from "./command.ts";
import { CommandError, EXIT, Output } from "./output.ts";
import { systemFailure } from "./system-failure.ts";
import { flagReplacementOf, inOurWords, replacementOf } from "./replaced.ts";
import { callOf, flagOf, usageOf, usageOfAll } from "./usage.ts";

/**
 * Errors of the server that the user can fix, by name: importing their classes would load the
 * server.
 */
const CODES: Readonly<Record<string, string>> = {
  ConfigError: "CONFIG_INVALID",
  AppNotFoundError: "ENTRY_NOT_FOUND",
  PylonStartError: "START_FAILED",
};

/** How each command is loaded, by its name. */
export type CommandLoaders = Readonly<Record<string, () => Promise<Command>>>;

/**
 * Runs the command that a command line names, and loads no other one.
 *
 * @returns the exit code; never throws
 */
export async function runCommand(
  argv: readonly string[],
  commands: CommandLoaders,
): Promise<number> {
  const output = new Output(argv.includes("--json"));
  try {
    const { name, rest } = withoutHelp(split(inOurWords(argv)));
    if (name === undefined) {
      const all = await loadAll(commands);
      output.say(usageOfAll(all));
      output.json({
        commands: all.map((command) => ({
          name: command.name,
          usage: callOf(command),
          summary: command.summary,
        })),
      });
      return EXIT.OK;
    }
    const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (load === undefined) throw unknownCommand(name, await loadAll(commands));
    const command = await load();
    const { values, args } = parse(command, rest);
    if (values["help"] === true) {
      output.say(usageOf(command));
      output.json({
        name: command.name,
        usage: callOf(command),
        summary: command.summary,
        options: command.options,
      });
      return EXIT.OK;
    }
    return await command.run({
      args,
      options: values,
      output,
      env: process.env,
    });
  } catch (error) {
    return fail(error, output);
  }
}

function loadAll(commands: CommandLoaders): Promise<Command[]> {
  return Promise.all(Object.values(commands).map((load) => load()));
}

interface Call {
  /** Undefined: the complete usage is requested. */
  readonly name: string | undefined;
  readonly rest: readonly string[];
}

/** `help dev` is `dev --help`. */
function withoutHelp({ name, rest }: Call): Call {
  if (name !== "help") return { name, rest };
  const at = rest.findIndex((word) => !word.startsWith("-"));
  return at === -1
    ? { name: undefined, rest }
    : { name: rest[at], rest: [...rest.toSpliced(at, 1), "--help"] };
}

/** The flags that are equivalent to the command `version`. */
const VERSION_FLAGS: ReadonlySet<string | undefined> = new Set(["--version", "-v", "-V"]);

/** The first word that is not a flag is the command. */
function split(argv: readonly string[]): Call {
  const at = argv.findIndex((word) => !word.startsWith("-") || VERSION_FLAGS.has(word));
  if (at !== -1)
    return {
      name: VERSION_FLAGS.has(argv[at]) ? "version" : argv[at],
      rest: argv.toSpliced(at, 1),
    };
  const strange = argv.find((word) => !["--json", "--help", "-h"].includes(word));
  if (strange !== undefined)
    throw new CommandError(
      "USAGE",
      `${strange} needs a command: \`pylon --help\` lists the commands.`,
      EXIT.USAGE,
    );
  return { name: undefined, rest: [] };
}

function parse(
  command: Command,
  words: readonly string[],
): {
  readonly values: GivenOptions;
  readonly args: readonly string[];
} {
  const known = Object.entries(command.options).map(
    ([name, { type, short }]): [string, { type: "string" | "boolean"; short?: string }] => [
      name,
      short === undefined ? { type } : { type, short },
    ],
  );
  const options = Object.fromEntries([
    ...known,
    ["json", { type: "boolean" as const }],
    ["help", { type: "boolean" as const, short: "h" }],
  ]);
  // First parsed without validation, so that the message for an unknown flag can list all flags.
  const { tokens } = parseArgs({
    args: [...words],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const unknown = tokens.find(
    (token) => token.kind === "option" && !Object.hasOwn(options, token.name),
  );
  if (unknown !== undefined && unknown.kind === "option") {
    const flags = Object.keys(options).map((name) => `--${name}`);
    const replacement = flagReplacementOf(command.name, unknown.rawName);
    throw new CommandError(
      "USAGE",
      `\`pylon ${command.name}\` has no ${unknown.rawName}` +
        (replacement === undefined ? `: it takes ${flags.join(", ")}.` : `. ${replacement}`),
      EXIT.USAGE,
    );
  }
  const bare = tokens.find(
    (token) =>
      token.kind === "option" &&
      options[token.name]?.type === "string" &&
      (token.value === undefined || (!token.inlineValue && token.value.startsWith("-"))),
  );
  if (bare !== undefined && bare.kind === "option") {
    const { short, value = "VALUE" } = command.options[bare.name] ?? {};
    const flag = flagOf(bare.name, { short, value });
    throw new CommandError("USAGE", `${bare.rawName} needs a value: ${flag}.`, EXIT.USAGE);
  }
  const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true });
  const surplus = positionals[command.args.length];
  if (surplus !== undefined && values["help"] !== true)
    throw new CommandError(
      "USAGE",
      `Unexpected argument "${surplus}": usage is \`pylon ${callOf(command)}\`.`,
      EXIT.USAGE,
    );
  return { values, args: positionals };
}

function unknownCommand(name: string, commands: readonly Command[]): CommandError {
  const names = commands.map((command) => command.name);
  const replacement = replacementOf(name);
  const meant = replacement === undefined ? nearest(name, names) : undefined;
  const hint =
    replacement !== undefined
      ? ` ${replacement}`
      : meant === undefined
        ? ""
        : ` Did you mean "${meant}"?`;
  return new CommandError(
    "UNKNOWN_COMMAND",
    `Unknown command "${name}".${hint}\n\n${usageOfAll(commands)}`,
    EXIT.USAGE,
  );
}

function fail(error: unknown, output: Output): number {
  const { code, message, exitCode } = describe(error);
  if (output.isJson) output.json({ code, severity: "error", message });
  else output.warn(`pylon: ${message}`);
  return exitCode;
}

function describe(error: unknown): {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
} {
  if (error instanceof CommandError) return error;
  if (!(error instanceof Error))
    return { code: "FAILED", message: String(error), exitCode: EXIT.FAILED };
  const code = CODES[error.name];
  if (code !== undefined) return { code, message: error.message, exitCode: EXIT.FAILED };
  if ("code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"))
    return { code: "USAGE", message: error.message, exitCode: EXIT.USAGE };
  return {
    code: "FAILED",
    message: systemFailure(error) ?? error.stack ?? error.message,
    exitCode: EXIT.FAILED,
  };
}
