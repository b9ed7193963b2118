import {
  isStandardSchema,
  jsonSchemaOf,
  type DeclaredArgs,
  type FnDefinition,
  type Shape,
  type StandardSchema,
  type Validator,
} from "@pylonsync/functions";
import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import {
  orNull,
  schemaOfField,
  schemaOfShape,
  schemaOfValidator,
  type JsonSchema,
} from "../../schema/json-schema.ts";

/** The parts of an app that its description contains. */
export interface DescribedApp {
  readonly manifest: Manifest;
  readonly functions: ReadonlyMap<string, FnDefinition>;
}

const ROW_ID = {
  name: "id",
  in: "path",
  required: true,
  description: "The row's id.",
  schema: { type: "string" },
};
const ERROR: JsonSchema = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: {
        code: { type: "string" },
        message: { type: "string" },
        hint: { type: "string" },
        field: { type: "string" },
        request_id: { type: "string" },
      },
      required: ["code", "message"],
    },
  },
  required: ["error"],
};

/**
 * Describes an app's rows and functions as an OpenAPI 3.1 document, for client generators and for
 * tools that send requests. Routes that are the same for every app are in the documentation.
 */
export function openApiOf({ manifest, functions }: DescribedApp): JsonSchema {
  const public_ = [...functions].filter(([, { internal }]) => internal !== true);
  return {
    openapi: "3.1.0",
    info: { title: manifest.name, version: manifest.version },
    security: [{ bearer: [] }, {}],
    paths: Object.assign(
      {},
      ...manifest.entities.map(pathsOfEntity),
      ...public_.map(([name, definition]) => pathOfFunction(name, definition)),
    ),
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
      schemas: Object.assign(
        { "pylon.Error": ERROR },
        ...manifest.entities.map((entity) => schemasOfEntity(entity, closedTo(manifest, entity))),
      ),
    },
  };
}

/** Returns the fields that some callers may not read. */
function closedTo({ policies }: Manifest, { name }: ManifestEntity): ReadonlySet<string> {
  const ofEntity = policies.filter(({ entity }) => entity === name);
  return new Set(
    ofEntity.flatMap(({ fields = {} }) =>
      Object.entries(fields).flatMap(([field, { allow, allowRead }]) =>
        (allowRead ?? allow) === undefined ? [] : [field],
      ),
    ),
  );
}

/** @param closed fields that not all callers may read */
function schemasOfEntity(
  { name, fields }: ManifestEntity,
  closed: ReadonlySet<string>,
): Record<string, JsonSchema> {
  const shown = fields.filter(({ hidden }) => hidden !== true);
  const properties = shown.map((field): [string, JsonSchema] => {
    const schema = schemaOfField(field);
    return [field.name, field.optional ? orNull(schema) : schema];
  });
  const required = shown.filter(isRequired).map((field) => field.name);
  const written = { type: "object", properties: Object.fromEntries(properties) };
  return {
    [name]: {
      type: "object",
      properties: { id: { type: "string" }, ...written.properties },
      required: ["id", ...shown.map((field) => field.name).filter((one) => !closed.has(one))],
    },
    [`${name}.insert`]: {
      ...written,
      properties: { id: { type: "string" }, ...written.properties },
      ...(required.length === 0 ? {} : { required }),
      additionalProperties: false,
    },
    [`${name}.patch`]: { ...written, additionalProperties: false },
  };
}

/** Whether an insert must contain it. */
function isRequired(field: ManifestField): boolean {
  return (
    !field.optional &&
    field.default === undefined &&
    field.default_by_code !== true &&
    field.owner !== true &&
    field.timestamp === undefined &&
    field.computed !== true
  );
}

function pathsOfEntity({ name }: ManifestEntity): Record<string, JsonSchema> {
  const tags = [name];
  const row = ref(name);
  const numberParameter = (parameter: string): JsonSchema => ({
    name: parameter,
    in: "query",
    schema: { type: "integer", minimum: 0 },
  });
  return {
    [`/api/entities/${name}`]: {
      get: {
        ...{ tags, operationId: `list${name}`, summary: `Lists rows of ${name}.` },
        parameters: [numberParameter("limit"), numberParameter("offset")],
        responses: answers("200", pageOf(row)),
      },
      post: {
        ...{ tags, operationId: `insert${name}`, summary: `Inserts a row of ${name}.` },
        requestBody: body(ref(`${name}.insert`)),
        responses: answers("201", objectOf({ id: { type: "string" } })),
      },
    },
    [`/api/entities/${name}/{id}`]: {
      parameters: [ROW_ID],
      get: {
        ...{ tags, operationId: `get${name}`, summary: `Reads a row of ${name}.` },
        responses: answers("200", row),
      },
      patch: {
        ...{ tags, operationId: `update${name}`, summary: `Updates a row of ${name}.` },
        requestBody: body(ref(`${name}.patch`)),
        responses: answers("200", objectOf({ updated: { type: "boolean" } })),
      },
      delete: {
        ...{ tags, operationId: `delete${name}`, summary: `Deletes a row of ${name}.` },
        responses: answers("200", objectOf({ deleted: { type: "boolean" } })),
      },
    },
    [`/api/query/${name}`]: {
      post: {
        ...{ tags, operationId: `query${name}`, summary: `Queries rows of ${name} with a filter.` },
        requestBody: body({ type: "object" }),
        responses: answers("200", { type: "array", items: row }),
      },
    },
  };
}

function pathOfFunction(
  name: string,
  { type, args, returns }: FnDefinition,
): Record<string, JsonSchema> {
  return {
    [`/api/fn/${name}`]: {
      post: {
        tags: ["functions"],
        operationId: `fn_${name}`,
        summary: `Calls the ${type} ${name}.`,
        requestBody: body(args === undefined ? { type: "object" } : schemaOfArgs(args)),
        responses: answers("200", returns === undefined ? {} : schemaOfResult(returns)),
      },
    },
  };
}

function schemaOfResult(returns: NonNullable<FnDefinition["returns"]>): JsonSchema {
  return isStandardSchema(returns) ? foreignSchema(returns) : schemaOfValidator(returns);
}

/** Returns the JSON schema of a schema of another library, as far as that library provides it. */
function foreignSchema(schema: StandardSchema): JsonSchema {
  const { $schema: _dialect, ...described } = jsonSchemaOf(schema) ?? {};
  return described;
}

function schemaOfArgs(args: DeclaredArgs): JsonSchema {
  if (isStandardSchema(args)) return foreignSchema(args);
  return isValidator(args) ? schemaOfValidator(args) : schemaOfShape(args, false);
}

function isValidator(args: Shape | Validator): args is Validator {
  return typeof args["type"] === "string";
}

function pageOf(row: JsonSchema): JsonSchema {
  return objectOf({
    data: { type: "array", items: row },
    count: { type: "integer" },
    offset: { type: "integer" },
    limit: { type: "integer" },
    has_more: { type: "boolean" },
  });
}

function objectOf(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { type: "object", properties, required: Object.keys(properties) };
}

function ref(schema: string): JsonSchema {
  return { $ref: `#/components/schemas/${schema}` };
}

function body(schema: JsonSchema): JsonSchema {
  return { required: true, content: { "application/json": { schema } } };
}

/** @param status the status of a successful response */
function answers(status: string, schema: JsonSchema): JsonSchema {
  const content = (response: JsonSchema): JsonSchema => ({
    "application/json": { schema: response },
  });
  return {
    [status]: { description: "Done.", content: content(schema) },
    default: { description: "Refused.", content: content(ref("pylon.Error")) },
  };
}
