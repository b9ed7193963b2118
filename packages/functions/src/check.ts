import { isRowId, PylonError } from "@pylonsync/protocol";
import type { Shape, Validator } from "./validators.ts";
import type { FnDefinition } from "./definition.ts";

const ISO_DATE = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;
const MAX_PROBLEMS = 10;

interface Problem {
  readonly field: string;
  readonly message: string;
}

/**
 * Checks a call's arguments. Keys that the function does not declare are kept.
 *
 * @throws PylonError INVALID_ARGS with all problems in the message and the first one's `field`
 */
export function parseArgs(
  definition: Pick<FnDefinition, "args">,
  value: unknown,
): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PylonError("INVALID_ARGS", `args: expected object, got ${nameOf(value)}`, {
      field: "args",
    });
  }
  if (Object.hasOwn(value, "__proto__"))
    throw new PylonError("INVALID_ARGS", 'args: "__proto__" is no name', { field: "__proto__" });
  const args = value as Record<string, unknown>;
  refuse("INVALID_ARGS", [...problemsOfArgs(definition.args ?? {}, args)]);
  return args;
}

/**
 * Checks what the handler returned against `returns`.
 *
 * @throws Error: a bug of the app, not of the caller
 */
export function parseResult(definition: Pick<FnDefinition, "returns">, value: unknown): unknown {
  if (definition.returns === undefined) return value;
  const [problem] = [...problemsOf(definition.returns, value, "result")];
  if (problem !== undefined)
    throw new Error(`The function returned what it does not declare: ${problem.message}`);
  return value;
}

function refuse(code: "INVALID_ARGS", problems: readonly Problem[]): void {
  const [first] = problems;
  if (first === undefined) return;
  throw new PylonError(
    code,
    problems
      .slice(0, MAX_PROBLEMS)
      .map(({ message }) => message)
      .join("; "),
    { field: first.field },
  );
}

/** At the top level null counts as absent, as the public system has it. */
function* problemsOfArgs(shape: Shape, args: Record<string, unknown>): Generator<Problem> {
  for (const [name, validator] of Object.entries(shape)) {
    const value = Object.hasOwn(args, name) ? args[name] : undefined;
    if (value !== undefined && value !== null) yield* problemsOf(validator, value, name);
    else if (validator.optional !== true && !acceptsNull(validator, value)) {
      yield { field: name, message: `Missing required field "${name}" (type: ${validator.type})` };
    }
  }
}

function acceptsNull(validator: Validator, value: unknown): boolean {
  if (value === undefined) return false;
  if (validator.type === "union")
    return validator.variants?.some((variant) => acceptsNull(variant, value)) ?? false;
  return (
    validator.type === "null" ||
    validator.type === "any" ||
    (validator.type === "literal" && validator.value === null)
  );
}

function* problemsOf(validator: Validator, value: unknown, at: string): Generator<Problem> {
  switch (validator.type) {
    case "any":
      return;
    case "literal":
      if (value !== validator.value)
        yield {
          field: at,
          message: `${at}: expected ${JSON.stringify(validator.value)}, got ${nameOf(value)}`,
        };
      return;
    case "union":
      if (validator.variants?.some((variant) => isValid(variant, value, at)) !== true)
        yield { field: at, message: `${at}: value does not match any variant` };
      return;
    case "array":
      yield* problemsOfArray(validator, value, at);
      return;
    case "object":
      yield* problemsOfObject(validator, value, at);
      return;
    default:
      if (!isScalar(validator.type, value))
        yield {
          field: at,
          message: `${at}: expected ${validator.type}, got ${gotOf(validator.type, value)}`,
        };
  }
}

function* problemsOfArray(validator: Validator, value: unknown, at: string): Generator<Problem> {
  if (!Array.isArray(value)) {
    yield { field: at, message: `${at}: expected array, got ${nameOf(value)}` };
    return;
  }
  if (validator.items === undefined) return;
  for (const [index, item] of value.entries()) {
    const [problem] = [...problemsOf(validator.items, item, `${at}[${index}]`)];
    if (problem === undefined) continue;
    yield problem;
    return;
  }
}

function* problemsOfObject(validator: Validator, value: unknown, at: string): Generator<Problem> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    yield { field: at, message: `${at}: expected object, got ${nameOf(value)}` };
    return;
  }
  for (const [name, inner] of Object.entries(validator.fields ?? {})) {
    const field = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    if (field !== undefined) yield* problemsOf(inner, field, `${at}.${name}`);
    else if (inner.optional !== true)
      yield { field: `${at}.${name}`, message: `${at}.${name}: required field missing` };
  }
}

function isValid(validator: Validator, value: unknown, at: string): boolean {
  return problemsOf(validator, value, at).next().done === true;
}

function isScalar(type: Validator["type"], value: unknown): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "id":
      return isRowId(value);
    case "datetime":
      return typeof value === "string" && ISO_DATE.test(value) && !Number.isNaN(Date.parse(value));
    case "number":
      return typeof value === "number" && Number.isFinite(value);
    case "int":
      return Number.isSafeInteger(value);
    case "boolean":
      return typeof value === "boolean";
    case "null":
      return value === null;
    default:
      return false;
  }
}

function gotOf(type: Validator["type"], value: unknown): string {
  if (type === "int" && typeof value === "number") return "a fraction";
  if ((type === "datetime" || type === "id") && typeof value === "string")
    return `"${value.slice(0, 40)}"`;
  return nameOf(value);
}

function nameOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
