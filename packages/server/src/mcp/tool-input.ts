import {
  isStandardSchema,
  jsonSchemaOf,
  type FnDefinition,
  type Validator,
} from "@pylonsync/functions";
import type { ManifestEntity } from "@pylonsync/sdk";
import {
  orNull,
  schemaOfField,
  schemaOfShape,
  schemaOfValidator,
  type JsonSchema,
} from "../schema/json-schema.ts";
import { isRecord } from "../util/is-record.ts";

/** The JSON Schema of a tool's input: always an object. */
export interface ObjectSchema extends JsonSchema {
  readonly type: "object";
}

const ANY_OBJECT: ObjectSchema = { type: "object" };

/**
 * Returns the schema of a function's arguments. Without declared arguments, or with a library's
 * that has no JSON Schema, it accepts any object: the function itself reports errors.
 */
export function argsSchema({ args }: Pick<FnDefinition, "args">): ObjectSchema {
  if (isStandardSchema(args)) {
    const { $schema: _dialect, ...schema } = jsonSchemaOf(args) ?? {};
    return schema["type"] === "object" ? { ...schema, type: "object" } : ANY_OBJECT;
  }
  if (!isRecord(args)) return ANY_OBJECT;
  if (isValidator(args))
    return args.type === "object" ? { ...schemaOfValidator(args), type: "object" } : ANY_OBJECT;
  const shape: Record<string, Validator> = {};
  for (const [name, validator] of Object.entries(args)) {
    if (!isValidator(validator)) return ANY_OBJECT;
    shape[name] = validator;
  }
  return { ...schemaOfShape(shape, false), type: "object" };
}

function isValidator(value: unknown): value is Validator {
  return isRecord(value) && typeof value["type"] === "string";
}

/** Returns the schema of a row to write: an update requires no field. */
export function rowSchema({ fields }: ManifestEntity, isPatch: boolean): ObjectSchema {
  const shown = fields.filter(
    ({ hidden, timestamp, computed, readonly: fixed }) =>
      hidden !== true &&
      timestamp === undefined &&
      computed !== true &&
      !(isPatch && fixed === true),
  );
  const required = shown.filter(
    (one) =>
      !one.optional &&
      one.default === undefined &&
      one.default_by_code !== true &&
      one.owner !== true,
  );
  const properties = shown.map((one): [string, JsonSchema] => {
    const schema = schemaOfField(one);
    return [one.name, one.optional ? orNull(schema) : schema];
  });
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    ...(isPatch ? {} : { required: required.map(({ name }) => name) }),
  };
}
