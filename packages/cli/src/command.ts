import type { Output } from "./output.ts";

/** One flag of a command. */
export interface Option {
  readonly type: "string" | "boolean";
  /** The one letter that stands for it. */
  readonly short?: string;
  /** What a string holds, as the usage shows it: `N`, `DIR`, `a|b`. */
  readonly value?: string;
  /** One line. */
  readonly summary: string;
}

export type Options = Readonly<Record<string, Option>>;

/** What the caller gave: a flag that is missing is false, a text that is missing is undefined. */
export type OptionValues<O extends Options> = {
  readonly [Name in keyof O]: O[Name]["type"] extends "boolean" ? boolean : string | undefined;
};

export interface CommandContext<O extends Options = Options> {
  /** What stands behind the command's name. */
  readonly args: readonly string[];
  readonly options: OptionValues<O>;
  readonly output: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Command<O extends Options = Options> {
  readonly name: string;
  /** What may stand behind the name, as the usage shows it: `["[DIR]"]`. More is a usage error. */
  readonly args: readonly string[];
  /** One line. */
  readonly summary: string;
  /** The flags of this command; `--json` and `--help` are every command's. */
  readonly options: O;
  /** @returns the exit code @throws CommandError */
  run(context: CommandContext<O>): Promise<number>;
}

/** A command whose `run` knows the types of its flags. */
export function defineCommand<const O extends Options>(command: Command<O>): Command {
  return command as unknown as Command;
}
