import { PylonError } from "@pylonsync/protocol";
import { nearest } from "@pylonsync/query";
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";

/** A schema of any library that implements Standard Schema: Zod, Valibot, ArkType and others. */
export type StandardSchema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>;
type JsonSchema = Readonly<Record<string, unknown>>;

const MAX_PROBLEMS = 10;
/** The number of characters of a name that an error message shows. */
const MAX_SHOWN = 40;

/**
 * Whether a value is a schema of another library, and not a Pylon validator. For tools that read
 * definitions, such as the server.
 *
 * @example
 * const isForeign = isStandardSchema(v.string()); // false
 */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard: unknown = Reflect.get(value, "~standard");
  return isObject(standard) && standard["version"] === 1 && "validate" in standard;
}

/**
 * Validates a value with a schema of another library.
 *
 * @param supplied keys that the schema need not declare
 * @returns the value as transformed by the schema
 * @throws PylonError INVALID_ARGS with all problems in the message and the `field` of the first
 * @throws TypeError for an asynchronous schema
 */
export function parseBySchema(
  schema: StandardSchema,
  value: unknown,
  name: string,
  supplied: readonly string[] = [],
): unknown {
  const undeclared = undeclaredKey(jsonSchemaOf(schema), value, [], supplied);
  if (undeclared !== null) throw undeclared;
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) {
    result.catch(() => undefined);
    throw new TypeError(
      "Asynchronous schemas are not supported: check that in the handler instead.",
    );
  }
  if (result.issues === undefined) return result.value;
  const problems = result.issues.slice(0, MAX_PROBLEMS).map(({ message, path }) => {
    const field = (path ?? []).map(segmentOf).join(".");
    return { field, message: field === "" ? message : `${field}: ${message}` };
  });
  throw new PylonError("INVALID_ARGS", problems.map(({ message }) => message).join("; "), {
    field: problems[0]?.field === "" ? name : (problems[0]?.field ?? name),
  });
}

const jsonSchemas = new WeakMap<StandardSchema, JsonSchema | null>();

/**
 * Returns the JSON Schema of a schema's input; null if its library does not provide it. For tools
 * that read definitions, such as the server.
 *
 * @example
 * const describe = (args: unknown) => (isStandardSchema(args) ? jsonSchemaOf(args) : null);
 */
export function jsonSchemaOf(schema: StandardSchema): JsonSchema | null {
  const known = jsonSchemas.get(schema);
  if (known !== undefined) return known;
  let made: JsonSchema | null = null;
  try {
    made = converterOf(schema)?.input({ target: "draft-2020-12" }) ?? null;
  } catch {
    // The schema has a type that JSON Schema can't express, such as a date.
  }
  jsonSchemas.set(schema, made);
  return made;
}

function converterOf(schema: StandardSchema): StandardJSONSchemaV1.Converter | undefined {
  const standard: StandardSchemaV1.Props & Partial<StandardJSONSchemaV1.Props> =
    schema["~standard"];
  return standard.jsonSchema;
}

/**
 * Returns the error for the first undeclared key. Some libraries drop such keys, others pass them
 * to the handler.
 */
function undeclaredKey(
  schema: unknown,
  value: unknown,
  path: readonly string[],
  supplied: readonly string[] = [],
): PylonError | null {
  if (!isObject(schema)) return null;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const problem = undeclaredKey(schema["items"], item, [...path, String(index)]);
      if (problem !== null) return problem;
    }
    return null;
  }
  const { properties } = schema;
  if (!isObject(properties) || !isObject(value)) return null;
  for (const [name, inner] of Object.entries(value)) {
    const isDeclared = Object.hasOwn(properties, name);
    const isWelcome = isDeclared || inner === undefined || supplied.includes(name);
    if (!isWelcome && !takesOthers(schema)) return unknownKey(name, Object.keys(properties), path);
    const problem = isDeclared ? undeclaredKey(properties[name], inner, [...path, name]) : null;
    if (problem !== null) return problem;
  }
  return null;
}

/** Whether the schema explicitly accepts additional keys. */
function takesOthers(schema: JsonSchema): boolean {
  const { additionalProperties = false, patternProperties, allOf, anyOf, oneOf } = schema;
  return (
    additionalProperties !== false ||
    [patternProperties, allOf, anyOf, oneOf].some((part) => part !== undefined)
  );
}

function unknownKey(name: string, known: readonly string[], path: readonly string[]): PylonError {
  const meant = nearest(name, [...known]);
  const declared = known.length === 0 ? "no fields are declared" : `declared: ${known.join(", ")}`;
  const field = [...path, name.slice(0, MAX_SHOWN)].join(".");
  const instead = meant === undefined ? declared : `did you mean "${meant}"?`;
  return new PylonError("INVALID_ARGS", `Unknown field "${field}" (${instead})`, {
    field,
    hint: "Remove it, declare it in args, or declare an object that accepts other keys.",
  });
}

function segmentOf(segment: PropertyKey | StandardSchemaV1.PathSegment): string {
  return String(typeof segment === "object" ? segment.key : segment);
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
