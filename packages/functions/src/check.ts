import { isRowId, PylonError } from "@pylonsync/protocol";
import { nearest, normaliseDatetime, normaliseDecimal } from "@pylonsync/query";
import { isValidator } from "./declared-args.ts";
import type { FnDefinition } from "./definition.ts";
import { isStandardSchema, parseBySchema } from "./standard-schema.ts";
import type { Shape, Validator } from "./validators.ts";

const MAX_PROBLEMS = 10;
/** The number of characters of a name that an error message shows. */
const MAX_SHOWN = 40;

interface Problem {
  readonly field: string;
  readonly message: string;
  readonly hint?: string;
}

/** Collects the first problems of a value, and stops when it has as many as will be reported. */
class Problems {
  readonly all: Problem[] = [];
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get isFull(): boolean {
    return this.all.length >= this.#max;
  }

  add(problem: Problem): void {
    if (!this.isFull) this.all.push(problem);
  }
}

/** Options of the check of a call's arguments. */
export interface ParseArgsOptions {
  /** Keys that the server adds, such as a webhook's `rawBody`: never reported as undeclared. */
  readonly supplied?: readonly string[];
}

/**
 * Validates a call's arguments. Undeclared keys are rejected, unless the function declares
 * `v.looseObject` or no arguments at all. For tools that run functions, such as the server.
 *
 * @param value the arguments sent by the caller
 * @returns the arguments, as transformed by a Standard Schema
 * @throws PylonError INVALID_ARGS with all problems in the message and the `field` of the first
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
  if (declared === undefined) return value;
  if (!isStandardSchema(declared)) {
    refuse(problemsOfArgs(declared, value, supplied));
    return value;
  }
  const made = parseBySchema(declared, value, "args", supplied);
  if (isObject(made)) return made;
  throw new TypeError("The schema of args must produce an object.");
}

/**
 * Validates a handler's result against `returns`. For tools that run functions.
 *
 * @throws Error for an invalid result: a bug of the app, not of the caller
 *
 * @example
 * const count = parseResult({ returns: v.int() }, 3);
 */
export function parseResult(definition: Pick<FnDefinition, "returns">, value: unknown): unknown {
  const { returns } = definition;
  if (returns === undefined) return value;
  if (isStandardSchema(returns)) {
    try {
      return parseBySchema(returns, value, "result");
    } catch (error) {
      throw undeclaredResult(error instanceof Error ? error.message : String(error));
    }
  }
  const problem = firstProblem(returns, value, "result");
  if (problem !== undefined) throw undeclaredResult(problem.message);
  return value;
}

function undeclaredResult(problem: string): Error {
  return new Error(`The function's result does not match its declared returns: ${problem}`);
}

/**
 * Returns the first problem of a value, or undefined if the validator accepts it. For tools that
 * check data, such as the server.
 *
 * @example
 * const problem = problemOf(v.int(), 1.5, "count"); // "count: expected int, got a fraction"
 */
export function problemOf(validator: Validator, value: unknown, name: string): string | undefined {
  const problem = firstProblem(validator, value, name);
  return problem?.message;
}

/**
 * Validates one value. For tools that accept values from callers.
 *
 * @param name the name of the value in messages
 * @throws PylonError INVALID_ARGS with all problems in the message and the `field` of the first
 *
 * @example
 * const move = parseValue(v.object({ dx: v.number() }), { dx: 1 }, "input");
 */
export function parseValue(validator: Validator, value: unknown, name: string): unknown {
  if (isFit(validator, value)) return value;
  const problems = new Problems(MAX_PROBLEMS);
  addProblems(problems, validator, value, name);
  refuse(problems.all);
  return value;
}

function refuse(problems: readonly Problem[]): void {
  const [first] = problems;
  if (first === undefined) return;
  const message = problems.map((problem) => problem.message).join("; ");
  throw new PylonError("INVALID_ARGS", message, {
    field: first.field,
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  });
}

/** At the top level, null for a required argument counts as missing. */
function problemsOfArgs(
  declared: Shape | Validator,
  args: Record<string, unknown>,
  supplied: readonly string[],
): readonly Problem[] {
  const problems = new Problems(MAX_PROBLEMS);
  const isWhole = isValidator(declared);
  const shape = isWhole ? (declared.fields ?? {}) : declared;
  for (const [name, validator] of Object.entries(shape)) {
    if (problems.isFull) return problems.all;
    const value = ownValue(args, name);
    const isMissing = value === undefined || (value === null && !accepts(validator, null));
    if (!isMissing) addProblems(problems, validator, value, name);
    else if (validator.optional !== true)
      problems.add({
        field: name,
        message: `Missing required field "${name}" (type: ${validator.type})`,
      });
    else if (value === null) problems.add(notNull(validator, name));
  }
  if (isWhole && declared.loose === true) return problems.all;
  for (const name of undeclared(shape, args)) {
    if (problems.isFull) break;
    if (!supplied.includes(name))
      problems.add(unknownKey(name, shape, `Unknown field "${name.slice(0, MAX_SHOWN)}"`, name));
  }
  return problems.all;
}

/** Returns the first problem of a value. */
function firstProblem(validator: Validator, value: unknown, at: string): Problem | undefined {
  const problems = new Problems(1);
  addProblems(problems, validator, value, at);
  return problems.all[0];
}

/** @param problems receives the problems; a generator per value cost more than the check itself */
function addProblems(problems: Problems, validator: Validator, value: unknown, at: string): void {
  switch (validator.type) {
    case "any":
      return;
    case "literal":
      if (value !== validator.value)
        problems.add({
          field: at,
          message: `${at}: expected ${JSON.stringify(validator.value)}, got ${nameOf(value)}`,
        });
      return;
    case "union":
      if (validator.variants?.some((variant) => accepts(variant, value)) !== true)
        problems.add({ field: at, message: `${at}: value does not match any variant` });
      return;
    case "array":
      addProblemsOfArray(problems, validator, value, at);
      return;
    case "object":
      addProblemsOfObject(problems, validator, value, at);
      return;
    default:
      if (isScalar(validator, value)) return;
      if (value === null && validator.optional === true) problems.add(notNull(validator, at));
      else
        problems.add({
          field: at,
          message:
            `${at}: expected ${expectedText(validator)}, ` +
            `got ${receivedText(validator.type, value)}`,
        });
  }
}

/** Only reports the first problem of an array. */
function addProblemsOfArray(
  problems: Problems,
  validator: Validator,
  value: unknown,
  at: string,
): void {
  if (!Array.isArray(value)) {
    problems.add({ field: at, message: `${at}: expected array, got ${nameOf(value)}` });
    return;
  }
  const { items } = validator;
  if (items === undefined) return;
  for (const [index, item] of value.entries()) {
    const problem = firstProblem(items, item, `${at}[${index}]`);
    if (problem === undefined) continue;
    problems.add(problem);
    return;
  }
}

function addProblemsOfObject(
  problems: Problems,
  validator: Validator,
  value: unknown,
  at: string,
): void {
  if (!isObject(value)) {
    problems.add({ field: at, message: `${at}: expected object, got ${nameOf(value)}` });
    return;
  }
  const { fields = {}, loose } = validator;
  for (const [name, inner] of Object.entries(fields)) {
    if (problems.isFull) return;
    const field = ownValue(value, name);
    if (field !== undefined) addProblems(problems, inner, field, `${at}.${name}`);
    else if (inner.optional !== true)
      problems.add({ field: `${at}.${name}`, message: `${at}.${name}: required field missing` });
  }
  if (loose === true) return;
  for (const name of undeclared(fields, value)) {
    if (problems.isFull) return;
    const path = `${at}.${name.slice(0, MAX_SHOWN)}`;
    problems.add(unknownKey(name, fields, `${path}: unknown field`, path));
  }
}

/**
 * Whether a value has no problems. It allocates nothing, because a shard checks thousands of inputs
 * per second, nearly all of which are valid.
 */
function isFit(validator: Validator, value: unknown): boolean {
  const { type, fields, loose, items, variants } = validator;
  if (type === "any") return true;
  if (type === "literal") return value === validator.value;
  if (type === "union") return variants?.some((variant) => isFit(variant, value)) === true;
  if (type === "array") return Array.isArray(value) && areValid(items, value);
  if (type !== "object") return isScalar(validator, value);
  if (!isObject(value)) return false;
  const known: Shape = fields ?? {};
  for (const name in known) {
    const inner = Object.hasOwn(known, name) ? known[name] : undefined;
    if (inner === undefined) continue;
    const field = ownValue(value, name);
    if (field === undefined ? inner.optional !== true : !isFit(inner, field)) return false;
  }
  if (loose === true) return true;
  for (const name in value)
    if (!Object.hasOwn(known, name) && ownValue(value, name) !== undefined) return false;
  return true;
}

function areValid(items: Validator | undefined, list: readonly unknown[]): boolean {
  if (items === undefined) return true;
  // Unlike `every`, it does not skip the holes of a sparse array.
  for (const item of list) if (!isFit(items, item)) return false;
  return true;
}

/** Values set to undefined are not sent, so they count as absent. */
function undeclared(fields: Shape, value: Record<string, unknown>): readonly string[] {
  let names: string[] | undefined;
  for (const name in value) {
    if (!Object.hasOwn(value, name) || Object.hasOwn(fields, name) || value[name] === undefined)
      continue;
    names ??= [];
    names.push(name);
  }
  return names ?? NO_NAMES;
}

const NO_NAMES: readonly string[] = [];

function unknownKey(name: string, fields: Shape, message: string, field: string): Problem {
  const known = Object.keys(fields);
  const meant = nearest(name, known);
  const declared = known.length === 0 ? "no fields are declared" : `declared: ${known.join(", ")}`;
  return {
    field,
    message: `${message} (${meant === undefined ? declared : `did you mean "${meant}"?`})`,
    hint: "Remove it, declare it in args, or accept undeclared keys with v.looseObject.",
  };
}

function notNull(validator: Validator, at: string): Problem {
  return {
    field: at,
    message: `${at}: expected ${validator.type} or no value, got null`,
    hint: "Omit it, or declare it as v.optional(v.nullable(...)).",
  };
}

function accepts(validator: Validator, value: unknown): boolean {
  return firstProblem(validator, value, "") === undefined;
}

function isScalar(validator: Validator, value: unknown): boolean {
  switch (validator.type) {
    case "decimal":
      return typeof value === "string" && isDecimal(value, validator);
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

/** Numbers are rejected, because a client's arithmetic may have rounded them. */
function isDecimal(text: string, { precision, scale }: Validator): boolean {
  const normal = normaliseDecimal(text);
  if (normal === undefined) return false;
  if (precision === undefined || scale === undefined) return true;
  const [whole = "", fraction = ""] = normal.replace("-", "").split(".");
  const digits = whole === "0" ? 0 : whole.length;
  return digits <= precision - scale && fraction.length <= scale;
}

function expectedText({ type, precision, scale }: Validator): string {
  if (type !== "decimal") return type;
  return precision === undefined || scale === undefined
    ? 'decimal as a text ("12.50")'
    : `decimal(${precision}, ${scale}) as a text ("12.50")`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function ownValue(object: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function receivedText(type: Validator["type"], value: unknown): string {
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (type === "int" && typeof value === "number")
    return Number.isInteger(value) ? `${value}, which is beyond ±(2^53 - 1)` : "a fraction";
  if (["datetime", "id", "decimal"].includes(type) && typeof value === "string")
    return `"${value.slice(0, MAX_SHOWN)}"`;
  return nameOf(value);
}

function nameOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
