import { VARIABLES, type VariableName } from "./variables.ts";
import { defaultOf, parseVariable, type Variable } from "./variables/variable.ts";

/** The values of variables, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

type Values = { readonly [N in VariableName]: ReturnType<(typeof VARIABLES)[N]["parse"]> };
const TABLE: { readonly [N in VariableName]: Variable<Values[N]> } = VARIABLES;

/** Reads variables, and collects a sentence for each that is invalid. */
export class VariableReader {
  /** The problems that prevent the start, each once. */
  readonly problems = new Set<string>();
  readonly dev: boolean;
  readonly #environment: Environment;
  readonly #overrides: Environment;

  /** @param overrides used for variables that are not set */
  constructor(environment: Environment, overrides: Environment) {
    this.#environment = environment;
    this.#overrides = overrides;
    this.dev = /^(1|true)$/i.test(
      environment["PYLON_DEV_MODE"] ?? overrides["PYLON_DEV_MODE"] ?? "",
    );
  }

  /** Returns the variable's value, or its default if it is not set or invalid. */
  get<N extends VariableName>(name: N): Values[N] {
    const text = setOrUndefined(this.#environment[name]) ?? setOrUndefined(this.#overrides[name]);
    const variable = TABLE[name];
    if (text === undefined) return defaultOf(variable, this.dev);
    const result = parseVariable(name, variable, text);
    if ("value" in result) return result.value;
    this.problems.add(result.problem);
    return defaultOf(variable, this.dev);
  }

  /** The AWS region if no variable of Pylon sets it. */
  get awsRegion(): string {
    return setOrUndefined(this.#environment["AWS_REGION"]) ?? "us-east-1";
  }
}

/** An empty variable counts as not set. */
function setOrUndefined(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
