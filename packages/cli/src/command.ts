import type { Output } from "./output.ts";

export interface CommandOptions {
  readonly port: string | undefined;
  readonly entry: string | undefined;
  readonly out: string | undefined;
  readonly template: string | undefined;
  readonly once: boolean;
  readonly plan: boolean;
  readonly yes: boolean;
  readonly allowDestructive: boolean;
}

export interface CommandContext {
  /** What stands behind the command's name. */
  readonly args: readonly string[];
  readonly options: CommandOptions;
  readonly output: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Command {
  readonly name: string;
  /** How it is called: `dev [DIR] [--port N]`. */
  readonly usage: string;
  /** One line. */
  readonly summary: string;
  /** @returns the exit code @throws CommandError */
  readonly run: (context: CommandContext) => Promise<number>;
}
