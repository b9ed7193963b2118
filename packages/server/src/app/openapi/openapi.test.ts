import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, test } from "bun:test";
import * as valibot from "valibot";
import { z } from "zod";
import { join } from "node:path";
import { action, internalQuery, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import type { FnDefinition } from "@pylonsync/functions";
import { validateManifest } from "../../schema/validate-manifest.ts";
import { loadApp } from "../load-app.ts";
import { openApiOf } from "./openapi.ts";

const ROOT = join(import.meta.dir, "..", "..", "..", "..", "..");

const Task = entity("Task", {
  title: field.string().min(1).max(80),
  state: field.enum(["open", "done"]).default("open"),
  rank: field.int().optional(),
  price: field.float().min(0),
  due: field.datetime().optional(),
  site: field.url().optional(),
  tags: field.array(field.string()).optional(),
  extra: field.json(v.object({ a: v.int() })).optional(),
  listId: field.id("Error").optional(),
  ownerId: field.string().owner(),
  secret: field.string().hidden().optional(),
});
/** Named like a schema that every document contains. */
const Failure = entity("Error", { text: field.richtext(), photo: field.file().optional() });

const functions = new Map<string, FnDefinition>([
  [
    "listTask",
    query({
      args: {
        text: v.string(),
        at: v.optional(v.datetime()),
        either: v.union(v.int(), v.literal("all"), v.null()),
        inner: v.object({ ids: v.array(v.id("Task")), rest: v.looseObject({}) }),
      },
      returns: v.array(v.object({ id: v.string() })),
      handler: () => [],
    }),
  ],
  ["anything", mutation({ args: v.looseObject({ a: v.number() }), handler: () => null })],
  ["unchecked", action({ handler: () => null })],
  [
    "byOthers",
    query({
      args: z.object({ n: z.int().optional() }),
      returns: valibot.string(),
      handler: () => "",
    }),
  ],
  ["inner", internalQuery({ args: {}, handler: () => null })],
]);

const manifest = buildManifest({
  name: "tasks",
  version: "1.2.0",
  entities: [Task, Failure],
  policies: [],
});

test("the document is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(
    structuredClone(openApiOf({ manifest, functions })),
  );
  expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  expect(validator.version).toBe("3.1");
});

test.each(["examples/todo", "examples/chat", "tests/conformance/app", "tests/compat-apps/erp"])(
  "the document of %s is valid too",
  async (folder) => {
    const loaded = await loadApp(join(ROOT, folder), { dev: false });
    const checked = validateManifest(loaded.manifest);
    if (checked.manifest === null) throw new Error("The app is not valid.");
    const document = openApiOf({ manifest: checked.manifest, functions: loaded.functions });
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
    expect(Object.keys(Object(document["paths"])).length).toBeGreaterThan(3);
  },
);

test("an app without entities and functions has a valid one too", async () => {
  const empty = buildManifest({ name: "a", version: "1", entities: [], policies: [] });
  const document = openApiOf({ manifest: empty, functions: new Map() });
  expect((await new Validator().validate(structuredClone(document))).valid).toBe(true);
});

test("rows have their fields, inserts the required ones, and none a hidden field", () => {
  const document = openApiOf({ manifest, functions });
  expect(document).toMatchObject({
    info: { title: "tasks", version: "1.2.0" },
    components: {
      schemas: {
        Task: {
          properties: {
            title: { type: "string", minLength: 1, maxLength: 80 },
            state: { type: "string", enum: ["open", "done"] },
            rank: { anyOf: [{ type: "integer" }, { type: "null" }] },
            due: { anyOf: [{ type: "string", format: "date-time" }, { type: "null" }] },
            site: { anyOf: [{ format: "uri" }, { type: "null" }] },
            tags: { anyOf: [{ type: "array", items: { type: "string" } }, { type: "null" }] },
            extra: {},
          },
        },
        "Task.insert": { required: ["title", "price"], additionalProperties: false },
      },
    },
  });
  expect(JSON.stringify(document)).not.toContain("secret");
});

test("functions have their arguments and results, and internal ones are omitted", () => {
  const { paths } = openApiOf({ manifest, functions });
  expect(Object.keys(Object(paths))).toEqual([
    ...["Task", "Error"].flatMap((name) => [
      `/api/entities/${name}`,
      `/api/entities/${name}/{id}`,
      `/api/query/${name}`,
    ]),
    "/api/fn/listTask",
    "/api/fn/anything",
    "/api/fn/unchecked",
    "/api/fn/byOthers",
  ]);
  const schema = (name: string, value: object): object => ({
    [`/api/fn/${name}`]: {
      post: { requestBody: { content: { "application/json": { schema: value } } } },
    },
  });
  expect(paths).toMatchObject({
    ...schema("listTask", {
      required: ["text", "either", "inner"],
      properties: {
        either: { anyOf: [{ type: "integer" }, { const: "all" }, { type: "null" }] },
        inner: { properties: { rest: { additionalProperties: true } } },
      },
      additionalProperties: false,
    }),
    ...schema("anything", { required: ["a"], additionalProperties: true }),
    ...schema("unchecked", { type: "object" }),
  });
});

test("schemas of other libraries are included as far as they describe themselves", () => {
  const { paths } = JSON.parse(JSON.stringify(openApiOf({ manifest, functions }))) as {
    paths: Record<string, { post: { requestBody: object } }>;
  };
  const { post } = paths["/api/fn/byOthers"] ?? {};
  expect(JSON.stringify(post?.requestBody)).toContain('"properties":{"n":{"type":"integer"');
});
