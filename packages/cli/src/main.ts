import { parseArgs } from "node:util";
import { nearest } from "@pylonsync/query";
import { AppNotFoundError, ConfigError, PylonStartError } from "@pylonsync/server";
import type { Command, CommandOptions } from "./command.ts";
import { codegen } from "./commands/codegen.ts";
import { dev } from "./commands/dev.ts";
import { doctor } from "./commands/doctor.ts";
import { init } from "./commands/init.ts";
import { migrate } from "./commands/migrate.ts";
import { start } from "./commands/start.ts";
import { version } from "./commands/version.ts";
import { CommandError, EXIT, Output } from "./output.ts";

const COMMANDS: readonly Command[] = [init, dev, start, migrate, codegen, doctor, version];

const OPTIONS = {
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
  port: { type: "string" },
  entry: { type: "string" },
  out: { type: "string" },
  template: { type: "string" },
  once: { type: "boolean" },
  plan: { type: "boolean" },
  yes: { type: "boolean", short: "y" },
  "no-prompt": { type: "boolean" },
  "allow-destructive": { type: "boolean" },
} as const;

// What is left behind, such as a timer, must not keep a finished command alive.
process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  const output = new Output(argv.includes("--json"));
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
    const [name, ...args] = positionals;
    if (values.version === true) return await version.run({ args, options: toOptions(values), output, env: process.env });
    if (name === undefined || name === "help" || values.help === true) {
      output.say(usage());
      output.json({ commands: COMMANDS.map((command) => ({ name: command.name, usage: command.usage, summary: command.summary })) });
      return EXIT.OK;
    }
    const command = COMMANDS.find((candidate) => candidate.name === name);
    if (command === undefined) throw unknownCommand(name);
    return await command.run({ args, options: toOptions(values), output, env: process.env });
  } catch (error) {
    return fail(error, output);
  }
}

function toOptions(values: Partial<Record<keyof typeof OPTIONS, string | boolean>>): CommandOptions {
  const text = (name: keyof typeof OPTIONS): string | undefined => values[name] as string | undefined;
  return {
    port: text("port"),
    entry: text("entry"),
    out: text("out"),
    template: text("template"),
    once: values.once === true,
    plan: values.plan === true,
    yes: values.yes === true || values["no-prompt"] === true,
    allowDestructive: values["allow-destructive"] === true,
  };
}

function usage(): string {
  const width = Math.max(...COMMANDS.map((command) => command.usage.length)) + 2;
  const lines = COMMANDS.map((command) => `  ${command.usage.padEnd(width)}${command.summary}`);
  return ["pylon: a realtime backend in one process", "", ...lines, "", "Every command takes --json: one JSON value on stdout."].join("\n");
}

function unknownCommand(name: string): CommandError {
  const meant = nearest(name, COMMANDS.map((command) => command.name));
  const hint = meant === undefined ? "" : ` Did you mean "${meant}"?`;
  return new CommandError("UNKNOWN_COMMAND", `There is no command "${name}".${hint}\n\n${usage()}`, EXIT.USAGE);
}

function fail(error: unknown, output: Output): number {
  const { code, message, exitCode } = describe(error);
  if (output.isJson) output.json({ code, severity: "error", message });
  else output.warn(`pylon: ${message}`);
  return exitCode;
}

function describe(error: unknown): { code: string; message: string; exitCode: number } {
  if (error instanceof CommandError) return error;
  if (error instanceof ConfigError) return { code: "CONFIG_INVALID", message: error.message, exitCode: EXIT.FAILED };
  if (error instanceof AppNotFoundError) return { code: "ENTRY_NOT_FOUND", message: error.message, exitCode: EXIT.FAILED };
  if (error instanceof PylonStartError) return { code: "START_FAILED", message: error.message, exitCode: EXIT.FAILED };
  if (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS")) {
    return { code: "USAGE", message: error.message, exitCode: EXIT.USAGE };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "FAILED", message, exitCode: EXIT.FAILED };
}
