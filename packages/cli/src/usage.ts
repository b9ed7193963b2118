import type { Command, Option } from "./command.ts";

const EVERYWHERE: readonly (readonly [string, Option])[] = [
  ["json", { type: "boolean", summary: "Print one JSON value instead of text." }],
  ["help", { type: "boolean", short: "h", summary: "Show this help." }],
];

/** All commands, a line each. */
export function usageOfAll(commands: readonly Command[]): string {
  const lines = table(commands.map((command) => [callOf(command), command.summary]));
  return [
    "pylon: a realtime backend in one process",
    "",
    ...lines,
    "",
    "`pylon COMMAND --help` shows the flags of a command. Every command takes --json: JSON " +
      "on stdout.",
  ].join("\n");
}

/** The usage of one command, with each of its flags. */
export function usageOf(command: Command): string {
  const flags = [...Object.entries(command.options), ...EVERYWHERE].map(
    ([name, option]): [string, string] => [flagOf(name, option), option.summary],
  );
  return [`pylon ${callOf(command)} [FLAGS]`, "", command.summary, "", ...table(flags)].join("\n");
}

/** `--port N`, `--yes, -y`. */
export function flagOf(name: string, { short, value }: Pick<Option, "short" | "value">): string {
  const flag = value === undefined ? `--${name}` : `--${name} ${value}`;
  return short === undefined ? flag : `${flag}, -${short}`;
}

/** `migrate [plan|apply|status] [DIR]`. */
export function callOf({ name, args }: Command): string {
  return [name, ...args].join(" ");
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`);
}
