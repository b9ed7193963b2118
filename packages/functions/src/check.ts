import { isRowId, PylonError } from "@pylonsync/protocol";
import { nearest, normaliseDatetime } from "@pylonsync/query";
import { isValidator } from "./declared-args.ts";
import type { FnDefinition } from "./definition.ts";
import type { Shape, Validator } from "./validators.ts";

const MAX_PROBLEMS = 10;
/** A longer name or text says nothing more. */
const MAX_SHOWN = 40;

interface Problem {
  readonly field: string;
  readonly message: string;
  readonly hint?: string;
}

/** What the check of a call's arguments depends on besides the declaration. */
export interface ParseArgsOptions {
  /** Keys that the server itself adds, such as a webhook's `rawBody`: never undeclared. */
  readonly supplied?: readonly string[];
}

/**
 * Checks a call's arguments. Undeclared keys are refused, unless the function declares
 * `v.looseObject` or no arguments at all. For tools that run functions, such as the server.
 *
 * @param value what the caller sent
 * @throws PylonError INVALID_ARGS with all problems in the message and the first one's `field`
 *
 * @example
 * const args = parseArgs({ args: { title: v.string() } }, { title: "milk" });
 */
export function parseArgs(
  definition: Pick<FnDefinition, "args">,
  value: unknown,
  { supplied = [] }: ParseArgsOptions = {},
): Record<string, unknown> {
  if (!isObject(value)) {
    throw new PylonError("INVALID_ARGS", `args: expected object, got ${nameOf(value)}`, {
      field: "args",
    });
  }
  if (Object.hasOwn(value, "__proto__"))
    throw new PylonError("INVALID_ARGS", 'args: "__proto__" is not a valid name', {
      field: "__proto__",
    });
  const { args: declared } = definition;
  if (declared !== undefined) refuse([...problemsOfArgs(declared, value, supplied)]);
  return value;
}

/**
 * Checks what the handler returned against `returns`. For tools that run functions.
 *
 * @throws Error: a bug of the app, not of the caller
 *
 * @example
 * const count = parseResult({ returns: v.int() }, 3);
 */
export function parseResult(definition: Pick<FnDefinition, "returns">, value: unknown): unknown {
  if (definition.returns === undefined) return value;
  const [problem] = [...problemsOf(definition.returns, value, "result")];
  if (problem !== undefined)
    throw new Error(`The function returned what it does not declare: ${problem.message}`);
  return value;
}

/**
 * What is wrong with a value that a validator is for, the first thing. For tools that check data,
 * such as the server.
 *
 * @example
 * const problem = problemOf(v.int(), 1.5, "count"); // "count: expected int, got a fraction"
 */
export function problemOf(validator: Validator, value: unknown, name: string): string | undefined {
  const [problem] = problemsOf(validator, value, name);
  return problem?.message;
}

/**
 * Checks one value against a validator. For tools that take values from callers.
 *
 * @param name what the value is called in messages
 * @throws PylonError INVALID_ARGS with all problems in the message and the first one's `field`
 *
 * @example
 * const move = parseValue(v.object({ dx: v.number() }), { dx: 1 }, "input");
 */
export function parseValue(validator: Validator, value: unknown, name: string): unknown {
  refuse([...problemsOf(validator, value, name)]);
  return value;
}

function refuse(problems: readonly Problem[]): void {
  const [first] = problems;
  if (first === undefined) return;
  const message = problems
    .slice(0, MAX_PROBLEMS)
    .map((problem) => problem.message)
    .join("; ");
  throw new PylonError("INVALID_ARGS", message, {
    field: first.field,
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  });
}

/** At the top level a null for a required argument counts as missing. */
function* problemsOfArgs(
  declared: Shape | Validator,
  args: Record<string, unknown>,
  supplied: readonly string[],
): Generator<Problem> {
  const isWhole = isValidator(declared);
  const shape = isWhole ? (declared.fields ?? {}) : declared;
  for (const [name, validator] of Object.entries(shape)) {
    const value = ownValue(args, name);
    const isMissing = value === undefined || (value === null && !accepts(validator, null));
    if (!isMissing) yield* problemsOf(validator, value, name);
    else if (validator.optional !== true)
      yield { field: name, message: `Missing required field "${name}" (type: ${validator.type})` };
    else if (value === null) yield notNull(validator, name);
  }
  if (isWhole && declared.loose === true) return;
  for (const name of undeclared(shape, args)) {
    if (!supplied.includes(name))
      yield unknownKey(name, shape, `Unknown field "${name.slice(0, MAX_SHOWN)}"`, name);
  }
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
      if (validator.variants?.some((variant) => accepts(variant, value)) !== true)
        yield { field: at, message: `${at}: value does not match any variant` };
      return;
    case "array":
      yield* problemsOfArray(validator, value, at);
      return;
    case "object":
      yield* problemsOfObject(validator, value, at);
      return;
    default:
      if (isScalar(validator.type, value)) return;
      if (value === null && validator.optional === true) yield notNull(validator, at);
      else
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
  if (!isObject(value)) {
    yield { field: at, message: `${at}: expected object, got ${nameOf(value)}` };
    return;
  }
  const { fields = {}, loose } = validator;
  for (const [name, inner] of Object.entries(fields)) {
    const field = ownValue(value, name);
    if (field !== undefined) yield* problemsOf(inner, field, `${at}.${name}`);
    else if (inner.optional !== true)
      yield { field: `${at}.${name}`, message: `${at}.${name}: required field missing` };
  }
  if (loose === true) return;
  for (const name of undeclared(fields, value)) {
    const path = `${at}.${name.slice(0, MAX_SHOWN)}`;
    yield unknownKey(name, fields, `${path}: unknown field`, path);
  }
}

/** What is set to undefined is not sent, so it counts as absent. */
function undeclared(fields: Shape, value: Record<string, unknown>): string[] {
  return Object.keys(value).filter(
    (name) => !Object.hasOwn(fields, name) && value[name] !== undefined,
  );
}

function unknownKey(name: string, fields: Shape, message: string, field: string): Problem {
  const known = Object.keys(fields);
  const meant = nearest(name, known);
  const declared = known.length === 0 ? "no field is declared" : `declared: ${known.join(", ")}`;
  return {
    field,
    message: `${message} (${meant === undefined ? declared : `did you mean "${meant}"?`})`,
    hint: "Leave it out, declare it in args, or keep undeclared keys with v.looseObject.",
  };
}

function notNull(validator: Validator, at: string): Problem {
  return {
    field: at,
    message: `${at}: expected ${validator.type} or no value at all, got null`,
    hint: "Leave it out, or declare it as v.optional(v.nullable(...)).",
  };
}

function accepts(validator: Validator, value: unknown): boolean {
  return problemsOf(validator, value, "").next().done === true;
}

function isScalar(type: Validator["type"], value: unknown): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "id":
      return isRowId(value);
    case "datetime":
      return typeof value === "string" && normaliseDatetime(value) !== undefined;
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function ownValue(object: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function gotOf(type: Validator["type"], value: unknown): string {
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (type === "int" && typeof value === "number")
    return Number.isInteger(value) ? `${value}, which is beyond ±(2^53 - 1)` : "a fraction";
  if ((type === "datetime" || type === "id") && typeof value === "string")
    return `"${value.slice(0, MAX_SHOWN)}"`;
  return nameOf(value);
}

function nameOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
