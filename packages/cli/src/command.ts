import type { Output } from "./output.ts";

/** One flag of a command. */
export interface Option {
  readonly type: "string" | "boolean";
  /** Its one-letter form. */
  readonly short?: string;
  /** The placeholder of a string in the usage: `N`, `DIR`, `a|b`. */
  readonly value?: string;
  /** One line. */
  readonly summary: string;
}

/** The flags of a command, by name without the dashes. */
export type Options = Readonly<Record<string, Option>>;

/** Flags as given: a missing one is undefined. */
export type GivenOptions = Readonly<Record<string, string | boolean | undefined>>;

/** The flags by type: a missing boolean is false, a missing string is undefined. */
export type OptionValues<O extends Options> = {
  readonly [Name in keyof O]: O[Name]["type"] extends "boolean" ? boolean : string | undefined;
};

/** The context in which a command runs. */
export interface CommandContext<O extends Options = Options> {
  /** The arguments after the command's name. */
  readonly args: readonly string[];
  readonly options: OptionValues<O>;
  readonly output: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface CommandText<O extends Options> {
  readonly name: string;
  /**
   * The allowed arguments after the name, as the usage shows them: `["[DIR]"]`. More are a usage
   * error.
   */
  readonly args: readonly string[];
  /** One line. */
  readonly summary: string;
  /** The flags of this command; every command has `--json` and `--help`. */
  readonly options: O;
}

interface CommandDefinition<O extends Options> extends CommandText<O> {
  /**
   * @returns the exit code
   * @throws CommandError
   */
  run(context: CommandContext<O>): number | Promise<number>;
}

/** A command of `pylon`, as it is in the list of all commands. */
export interface Command extends CommandText<Options> {
  /**
   * @returns the exit code
   * @throws CommandError
   */
  run(
    context: Omit<CommandContext, "options"> & { readonly options: GivenOptions },
  ): Promise<number>;
}

/** Defines a command whose `run` receives typed flags. */
export function defineCommand<const O extends Options>(definition: CommandDefinition<O>): Command {
  return {
    ...definition,
    run: async (context) =>
      await definition.run({ ...context, options: valuesOf(definition.options, context.options) }),
  };
}

function valuesOf<O extends Options>(options: O, given: GivenOptions): OptionValues<O> {
  const values = Object.entries(options).map(([name, { type }]) => [
    name,
    type === "boolean" ? given[name] === true : given[name],
  ]);
  return Object.fromEntries(values) as OptionValues<O>;
}
