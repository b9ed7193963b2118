import type { Validator } from "@pylonsync/functions";
import type { ManifestField, ManifestItem } from "@pylonsync/sdk";

/** A JSON Schema, as OpenAPI 3.1 and the tools of AI models use it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const FORMATS = { url: "uri", email: "email", date: "date", bytes: "byte" } as const;

/** The schema of a field's value in JSON. */
export function schemaOfField(field: ManifestField): JsonSchema {
  const schema = schemaOfItem(field);
  const items = field.items === undefined ? {} : { items: schemaOfItem(field.items) };
  return field.type === "array" ? { ...schema, ...items } : schema;
}

function schemaOfItem(item: ManifestItem): JsonSchema {
  const { format, min, max, pattern } = item;
  switch (item.type) {
    case "string":
      return {
        type: "string",
        ...(item.enum === undefined ? {} : { enum: item.enum }),
        ...(format === undefined ? {} : { format: FORMATS[format] }),
        ...(pattern === undefined ? {} : { pattern }),
        ...present({ minLength: min, maxLength: max }),
      };
    case "richtext":
      return { type: "string" };
    case "encrypted":
      return {
        type: "string",
        ...(pattern === undefined ? {} : { pattern }),
        ...present({ minLength: min, maxLength: max }),
      };
    case "int":
      return { type: "integer", ...present({ minimum: min, maximum: max }) };
    case "float":
      return { type: "number", ...present({ minimum: min, maximum: max }) };
    case "decimal":
      return decimalSchema(item);
    case "bool":
      return { type: "boolean" };
    case "datetime":
      return { type: "string", format: "date-time" };
    case "json":
      return {};
    case "array":
      return { type: "array", ...present({ minItems: min, maxItems: max }) };
    case "file":
      return { type: "string", description: "The id of an uploaded file." };
    default:
      return { type: "string", description: `The id of a row: ${item.type}.` };
  }
}

function decimalSchema({
  precision = 36,
  scale = 18,
}: Pick<Validator, "precision" | "scale">): JsonSchema {
  const fraction = scale === 0 ? "" : `(\\.\\d{1,${scale}})?`;
  return { type: "string", pattern: `^-?\\d{1,${Math.max(1, precision - scale)}}${fraction}$` };
}

/** The schema that additionally accepts null. */
export function orNull(schema: JsonSchema): JsonSchema {
  return Object.keys(schema).length === 0 ? {} : { anyOf: [schema, { type: "null" }] };
}

/** The schema of the values that a validator of `@pylonsync/functions` accepts. */
export function schemaOfValidator(validator: Validator): JsonSchema {
  switch (validator.type) {
    case "string":
    case "id":
    case "number":
    case "boolean":
    case "null":
      return { type: validator.type === "id" ? "string" : validator.type };
    case "int":
      return { type: "integer" };
    case "datetime":
      return { type: "string", format: "date-time" };
    case "decimal":
      return decimalSchema(validator);
    case "array":
      return {
        type: "array",
        items: validator.items === undefined ? {} : schemaOfValidator(validator.items),
      };
    case "object":
      return schemaOfShape(validator.fields ?? {}, validator.loose === true);
    case "union":
      return { anyOf: (validator.variants ?? []).map(schemaOfValidator) };
    case "literal":
      return { const: validator.value ?? null };
    case "any":
      return {};
  }
}

/** @param isLoose whether other keys are accepted and passed on */
export function schemaOfShape(
  fields: Readonly<Record<string, Validator>>,
  isLoose: boolean,
): JsonSchema {
  const entries = Object.entries(fields);
  const required = entries.filter(([, field]) => field.optional !== true).map(([name]) => name);
  return {
    type: "object",
    properties: Object.fromEntries(
      entries.map(([name, field]) => [name, schemaOfValidator(field)]),
    ),
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: isLoose,
  };
}

function present(values: Readonly<Record<string, number | undefined>>): JsonSchema {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
