import { expect, test } from "bun:test";
import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import fc from "fast-check";
import { manifestArbitrary } from "./migration.arbitraries.ts";
import { validateManifest } from "./validate-manifest.ts";

/** A manifest in which all kinds of parts are valid. */
const field = (name: string, type: ManifestField["type"] = "string"): ManifestField => ({
  name,
  type,
  optional: true,
  unique: false,
});
const todo: ManifestEntity = {
  name: "Todo",
  fields: [field("title"), field("ownerId", "id(User)"), field("photo", "file")],
  indexes: [{ name: "by_title", fields: ["title", "id"], unique: false }],
  relations: [{ name: "owner", target: "User", field: "ownerId" }],
  search: { text: ["title"], facets: [], sortable: [] },
};
const sound: Manifest = {
  manifest_version: 1,
  name: "test",
  version: "1.0.0",
  entities: [todo, { name: "User", fields: [{ ...field("email"), unique: true }], indexes: [] }],
  queries: [{ name: "recent", input: [{ name: "id", type: "string" }] }],
  actions: [{ name: "pay" }],
  routes: [{ path: "/todo/:id", mode: "live", query: "recent", auth: "user" }],
  policies: [
    { name: "own", entity: "Todo", allow: "auth.userId == data.ownerId" },
    { name: "pay", action: "pay", allow: "auth.isAdmin" },
  ],
  auth: { trustedOrigins: ["https://app.example.com", "http://localhost:3000"] },
};

const withTodo = (change: Partial<ManifestEntity>): Manifest => ({
  ...sound,
  entities: [{ ...todo, ...change }, ...sound.entities.slice(1)],
});
const renamed = (name: string): Manifest => ({
  ...withTodo({ name }),
  policies: sound.policies.slice(1),
});
const withField = (change: Partial<ManifestField>): Manifest =>
  withTodo({ fields: [...todo.fields, { ...field("x"), ...change }] });

test("everything that can be declared is valid as it is, and is unchanged by JSON", () => {
  fc.assert(
    fc.property(manifestArbitrary, (manifest) => {
      const { manifest: valid, diagnostics } = validateManifest(manifest);
      if (manifest.entities.length === 0) {
        expect(diagnostics.map(({ code }) => code)).toEqual(["SCHEMA_EMPTY"]);
        return;
      }
      // A field may hold ids of the entity A, which is not in every manifest.
      const isMissing = (code: string): boolean => code === "FIELD_ID_TARGET_NOT_FOUND";
      expect(diagnostics.filter(({ code }) => !isMissing(code))).toEqual([]);
      if (valid === null) return;
      expect(valid).toEqual(manifest);
      expect(validateManifest(JSON.parse(JSON.stringify(valid)))).toEqual({
        manifest: valid,
        diagnostics: [],
      });
    }),
  );
});

test("any JSON value is answered with a list of its errors", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (json) => {
      const { manifest, diagnostics } = validateManifest(json);
      expect(manifest).toBeNull();
      expect(diagnostics.length > 0).toBe(json !== null);
    }),
  );
});

test("a part that is removed or replaced is reported, unless it may be absent", () => {
  const places = (value: unknown, path: readonly string[] = []): (readonly string[])[] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, part]) => [
          [...path, key],
          ...places(part, [...path, key]),
        ])
      : [];
  const replaced = (
    value: unknown,
    [key = "", ...rest]: readonly string[],
    by: unknown,
  ): unknown => {
    const copy: unknown = Array.isArray(value)
      ? [...(value as unknown[])]
      : { ...(value as object) };
    const parts = copy as Record<string, unknown>;
    parts[key] = rest.length === 0 ? by : replaced(parts[key], rest, by);
    return copy;
  };
  const wrong = fc.constantFrom<unknown>(1, "", "nope", [], {}, null, true, ["nope"]);
  fc.assert(
    fc.property(fc.constantFrom(...places(sound)), wrong, (path, by) => {
      const { manifest, diagnostics } = validateManifest(replaced(sound, path, by));
      // An error prevents the manifest from being served, and only an error does.
      expect(manifest === null).toBe(diagnostics.some(({ severity }) => severity === "error"));
      for (const { code, message } of diagnostics)
        expect([code, message.endsWith(".")]).toEqual([code, true]);
    }),
    { numRuns: 300 },
  );
});

test.each<[string, Manifest, string | undefined]>([
  ["MANIFEST_VERSION_UNSUPPORTED", { ...sound, manifest_version: 2 }, "manifest_version"],
  ["ENTITY_NAME_INVALID", renamed("1Todo"), "entities[0].name"],
  ["ENTITY_NAME_RESERVED", renamed("Sqlite_todo"), "entities[0].name"],
  ["ENTITY_DUPLICATE", renamed("user"), "entities[1].name"],
  ["FIELD_NAME_RESERVED", withField({ name: "id" }), "entities[0].fields[3].name"],
  ["FIELD_NAME_RESERVED", withField({ name: "ID" }), "entities[0].fields[3].name"],
  ["FIELD_NAME_RESERVED", withField({ name: "ctid" }), "entities[0].fields[3].name"],
  ["FIELD_NAME_INVALID", withField({ name: "a b" }), "entities[0].fields[3].name"],
  ["FIELD_DUPLICATE", withField({ name: "Title" }), "entities[0].fields[3].name"],
  ["FIELD_ID_TARGET_NOT_FOUND", withField({ type: "id(Usr)" }), "entities[0].fields[3].type"],
  [
    "FIELD_DEFAULT_INVALID",
    withField({ type: "int", default: 1.5 }),
    "entities[0].fields[3].default",
  ],
  [
    "FIELD_DEFAULT_INVALID",
    withField({ type: "datetime", default: "soon" }),
    "entities[0].fields[3].default",
  ],
  [
    "FIELD_DEFAULT_INVALID",
    withField({ type: "file", default: "f1" }),
    "entities[0].fields[3].default",
  ],
  ["FIELD_OWNER_INVALID", withField({ type: "int", owner: true }), "entities[0].fields[3].owner"],
  ["FIELD_OWNER_INVALID", withField({ type: "file", owner: true }), "entities[0].fields[3].owner"],
  ["FIELD_FILE_INVALID", withField({ accept: ["image/*"] }), "entities[0].fields[3]"],
  [
    "FIELD_FILE_INVALID",
    withField({ type: "file", accept: ["png"] }),
    "entities[0].fields[3].accept",
  ],
  [
    "FIELD_FILE_INVALID",
    withField({ type: "file", max_bytes: 0 }),
    "entities[0].fields[3].max_bytes",
  ],
  ["FIELD_ENUM_INVALID", withField({ enum: [] }), "entities[0].fields[3].enum"],
  ["FIELD_ENUM_INVALID", withField({ enum: ["a", "b", "a"] }), "entities[0].fields[3].enum"],
  ["FIELD_ENUM_INVALID", withField({ enum: ["a", "\0"] }), "entities[0].fields[3].enum"],
  ["FIELD_ENUM_INVALID", withField({ type: "int", enum: ["a"] }), "entities[0].fields[3].enum"],
  ["FIELD_LIMIT_INVALID", withField({ type: "bool", min: 1 }), "entities[0].fields[3]"],
  ["FIELD_LIMIT_INVALID", withField({ min: -1 }), "entities[0].fields[3]"],
  ["FIELD_LIMIT_INVALID", withField({ max: 1.5 }), "entities[0].fields[3]"],
  ["FIELD_LIMIT_INVALID", withField({ type: "float", min: 2, max: 1 }), "entities[0].fields[3]"],
  ["FIELD_DECIMAL_INVALID", withField({ type: "decimal" }), "entities[0].fields[3]"],
  ["FIELD_DECIMAL_INVALID", withField({ precision: 4 }), "entities[0].fields[3]"],
  [
    "FIELD_DECIMAL_INVALID",
    withField({ type: "decimal", precision: 2, scale: 3 }),
    "entities[0].fields[3]",
  ],
  [
    "FIELD_DECIMAL_INVALID",
    withField({ type: "decimal", precision: 19, scale: 0 }),
    "entities[0].fields[3]",
  ],
  ["FIELD_PATTERN_INVALID", withField({ pattern: "(" }), "entities[0].fields[3].pattern"],
  [
    "FIELD_PATTERN_INVALID",
    withField({ type: "int", pattern: "a" }),
    "entities[0].fields[3].pattern",
  ],
  [
    "FIELD_FORMAT_INVALID",
    withField({ type: "richtext", format: "url" }),
    "entities[0].fields[3].format",
  ],
  [
    "FIELD_FORMAT_INVALID",
    withField({ format: "bytes", max_bytes: 1e9 }),
    "entities[0].fields[3].max_bytes",
  ],
  [
    "FIELD_TIMESTAMP_INVALID",
    withField({ type: "datetime", timestamp: "created" }),
    "entities[0].fields[3].timestamp",
  ],
  [
    "FIELD_COMPUTED_INVALID",
    withField({ computed: true, owner: true }),
    "entities[0].fields[3].computed",
  ],
  ["FIELD_NESTED_INVALID", withField({ type: "array" }), "entities[0].fields[3].items"],
  ["FIELD_NESTED_INVALID", withField({ items: { type: "string" } }), "entities[0].fields[3].items"],
  [
    "FIELD_NESTED_INVALID",
    withField({ type: "array", items: { type: "json" } }),
    "entities[0].fields[3].items.type",
  ],
  [
    "FIELD_ENUM_INVALID",
    withField({ type: "array", items: { type: "string", enum: [] } }),
    "entities[0].fields[3].items.enum",
  ],
  [
    "FIELD_LIMIT_INVALID",
    withField({ type: "array", items: { type: "string" }, max: 100_000 }),
    "entities[0].fields[3]",
  ],
  ["FIELD_NESTED_INVALID", withField({ type: "json", unique: true }), "entities[0].fields[3]"],
  [
    "FIELD_NESTED_INVALID",
    withField({ type: "json", schema: { type: "object" } }),
    "entities[0].fields[3].schema",
  ],
  ["FIELD_NESTED_INVALID", withField({ schema: { type: "any" } }), "entities[0].fields[3].schema"],
  [
    "INDEX_FIELD_INVALID",
    withTodo({
      fields: [...todo.fields, { ...field("x"), type: "json" }],
      indexes: [{ name: "i", fields: ["title", "x"], unique: false }],
    }),
    "entities[0].indexes[0].fields",
  ],
  [
    "FIELD_DEFAULT_INVALID",
    withField({ type: "array", items: { type: "datetime" }, default: ["2026-01-31"] }),
    "entities[0].fields[3].default",
  ],
  [
    "FIELD_DEFAULT_INVALID",
    withField({ type: "json", default: "{}" }),
    "entities[0].fields[3].default",
  ],
  [
    "FIELD_REFERENCE_INVALID",
    withField({ on_delete: "cascade" }),
    "entities[0].fields[3].on_delete",
  ],
  [
    "FIELD_REFERENCE_INVALID",
    withField({ type: "id(User)", optional: false, on_delete: "setNull" }),
    "entities[0].fields[3].on_delete",
  ],
  [
    "INDEX_NAME_RESERVED",
    withTodo({
      fields: [...todo.fields, { ...field("x", "id(User)"), on_delete: "cascade" }],
      indexes: [{ name: "x_reference", fields: ["title"], unique: false }],
    }),
    "entities[0].indexes[0].name",
  ],
  [
    "FIELD_HIDDEN_SEARCHED",
    withTodo({ fields: [...todo.fields.slice(1), { ...field("title"), hidden: true }] }),
    "entities[0].search",
  ],
  [
    "FIELD_DEFAULT_INVALID",
    withField({ enum: ["a"], default: "uuid" }),
    "entities[0].fields[3].default",
  ],
  [
    "FIELD_DEFAULT_INVALID",
    withField({ format: "date", default: "now" }),
    "entities[0].fields[3].default",
  ],
  ["FIELD_DEFAULT_INVALID", withField({ max: 2, default: "abc" }), "entities[0].fields[3].default"],
  [
    "INDEX_FIELDS_EMPTY",
    withTodo({ indexes: [{ name: "i", fields: [], unique: false }] }),
    "entities[0].indexes[0].fields",
  ],
  [
    "INDEX_FIELD_NOT_FOUND",
    withTodo({ indexes: [{ name: "i", fields: ["titel"], unique: false }] }),
    "entities[0].indexes[0].fields",
  ],
  [
    "INDEX_NAME_RESERVED",
    withTodo({
      fields: [{ ...field("title"), unique: true }],
      relations: [],
      search: { text: [], facets: [], sortable: [] },
      indexes: [{ name: "Title_unique", fields: ["title"], unique: false }],
    }),
    "entities[0].indexes[0].name",
  ],
  [
    "RELATION_TARGET_NOT_FOUND",
    withTodo({ relations: [{ name: "r", target: "Nope", field: "ownerId" }] }),
    "entities[0].relations[0].target",
  ],
  [
    "RELATION_FIELD_NOT_FOUND",
    withTodo({ relations: [{ name: "r", target: "User", field: "ownerId", many: true }] }),
    "entities[0].relations[0].field",
  ],
  [
    "RELATION_NOT_MANY",
    withTodo({
      relations: [
        { name: "r", target: "User", through: "Todo", field: "title", targetField: "ownerId" },
      ],
    }),
    "entities[0].relations[0]",
  ],
  [
    "RELATION_THROUGH_NOT_FOUND",
    withTodo({
      relations: [
        { name: "r", target: "User", many: true, through: "X", field: "a", targetField: "b" },
      ],
    }),
    "entities[0].relations[0].through",
  ],
  [
    "RELATION_FIELD_NOT_FOUND",
    withTodo({
      relations: [{ name: "r", target: "User", many: true, through: "Todo", field: "title" }],
    }),
    "entities[0].relations[0].targetField",
  ],
  [
    "RELATION_NAME_TAKEN",
    withTodo({ relations: [{ name: "title", target: "User", field: "ownerId" }] }),
    "entities[0].relations[0].name",
  ],
  [
    "SEARCH_FIELD_NOT_FOUND",
    withTodo({ search: { text: ["nope"], facets: [], sortable: [] } }),
    "entities[0].search",
  ],
  [
    "QUERY_DUPLICATE",
    { ...sound, queries: [...sound.queries, { name: "Recent" }] },
    "queries[1].name",
  ],
  [
    "INPUT_FIELD_TYPE_UNKNOWN",
    { ...sound, actions: [{ name: "pay", input: [{ name: "a", type: "money" }] }] },
    "actions[0].input",
  ],
  ["POLICY_NO_TARGET", { ...sound, policies: [{ name: "p", allow: "true" }] }, "policies[0]"],
  [
    "POLICY_ALLOW_EMPTY",
    { ...sound, policies: [{ name: "p", entity: "Todo", allow: " " }] },
    "policies[0]",
  ],
  [
    "POLICY_ENTITY_NOT_FOUND",
    { ...sound, policies: [{ name: "p", entity: "Tod", allow: "true" }] },
    "policies[0].entity",
  ],
  [
    "POLICY_ACTION_NOT_FOUND",
    { ...sound, policies: [{ name: "p", action: "x", allow: "true" }] },
    "policies[0].action",
  ],
  ["ROUTE_PATH_NO_SLASH", { ...sound, routes: [{ path: "a", mode: "static" }] }, "routes[0].path"],
  [
    "ROUTE_QUERY_NOT_FOUND",
    { ...sound, routes: [{ path: "/a", mode: "live", query: "x" }] },
    "routes[0].query",
  ],
  [
    "ROUTE_PARAM_NOT_IN_QUERY",
    { ...sound, routes: [{ path: "/:b", mode: "live", query: "recent" }] },
    "routes[0].path",
  ],
  [
    "TRUSTED_ORIGIN_INVALID",
    { ...sound, auth: { trustedOrigins: ["https://*.a.test"] } },
    "auth.trustedOrigins[0]",
  ],
  [
    "TRUSTED_ORIGIN_INVALID",
    { ...sound, auth: { trustedOrigins: ["https://a.test/"] } },
    "auth.trustedOrigins[0]",
  ],
])("%s alone is told, with its place", (code, manifest, path) => {
  expect(validateManifest(sound).diagnostics).toEqual([]);
  const { manifest: valid, diagnostics } = validateManifest(manifest);
  expect(diagnostics.map((one) => [one.code, one.path])).toEqual([[code, path]]);
  expect(valid).toBeNull();
});

test("a setting without effect is a warning, and the manifest is valid", () => {
  const { manifest, diagnostics } = validateManifest({
    ...sound,
    auth: { session: { cookieCache: true } },
  });
  expect([manifest !== null, diagnostics.map(({ severity }) => severity)]).toEqual([
    true,
    ["warning"],
  ]);
});

test("a nonexistent field hidden by auth() is a warning", () => {
  const [email] = sound.entities[1]?.fields ?? [];
  if (email === undefined) throw new Error("The users have an address.");
  const user = (entity: Partial<ManifestEntity>): Manifest => ({
    ...sound,
    entities: [
      todo,
      { name: "User", indexes: [], ...entity, fields: [email, ...(entity.fields ?? [])] },
    ],
    auth: { user: { hide: ["passwordHash", "phone"] } },
  });
  const toldOf = (manifest: Manifest): unknown =>
    validateManifest(manifest).diagnostics.map(({ code, severity, path }) => [
      code,
      severity,
      path,
    ]);
  const warning = ["AUTH_FIELD_NOT_FOUND", "warning", "auth.user.hide[1]"];
  expect(toldOf(user({}))).toEqual([warning]);
  expect(toldOf(user({ fields: [field("mobile")] }))).toEqual([warning]);
  expect(toldOf(user({ fields: [field("phone")] }))).toEqual([]);
  expect(toldOf(user({ fields: [{ ...field("mobile"), renamed_from: ["phone"] }] }))).toEqual([]);
});

test("a nonexistent entity of users is an error, except for the default one", () => {
  const users = { name: "Person", fields: [field("email")], indexes: [] };
  const toldOf = (entity: string, more: Partial<ManifestEntity> = {}): unknown =>
    validateManifest({
      ...sound,
      entities: [{ ...users, ...more }],
      policies: [],
      access: "public",
      auth: { user: { entity } },
    }).diagnostics.map(({ code, severity, path, hint }) => [code, severity, path, hint]);
  expect(toldOf("Persn")).toEqual([
    ["AUTH_ENTITY_NOT_FOUND", "error", "auth.user.entity", 'Did you mean "Person"?'],
  ]);
  for (const known of ["Person", "User"]) expect(toldOf(known)).toEqual([]);
  expect(toldOf("Human", { renamed_from: ["Human"] })).toEqual([]);
});

test("every unknown key is reported, with a suggestion", () => {
  const { diagnostics } = validateManifest({
    ...sound,
    polices: [],
    entities: [{ ...todo, feilds: [], fields: [{ ...field("a"), uniqe: true }] }],
  });
  const unknown = diagnostics.filter(({ code }) => code === "MANIFEST_KEY_UNKNOWN");
  expect(unknown.map(({ path, hint }) => [path, hint])).toEqual(
    expect.arrayContaining([
      ["polices", 'Did you mean "policies"?'],
      ["entities[0].feilds", 'Did you mean "fields"?'],
      ["entities[0].fields[0].uniqe", 'Did you mean "unique"?'],
    ]),
  );
});
