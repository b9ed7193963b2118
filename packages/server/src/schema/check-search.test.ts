import { auth, buildManifest, entity, field, type SearchOptions } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import { validateManifest } from "./validate-manifest.ts";

const many = Object.fromEntries(
  Array.from({ length: 17 }, (_, at) => [`f${at}`, field.string().optional()]),
);
const fields = {
  title: field.string(),
  body: field.richtext(),
  count: field.int(),
  tags: field.array(field.string()),
  meta: field.json(),
  teamId: field.id("Note"),
  secret: field.string().hidden(),
  ...many,
};

function problemsOf(search: SearchOptions): (string | undefined)[][] {
  const manifest = buildManifest({
    name: "app",
    version: "1.0.0",
    access: "public",
    entities: [entity("Note", fields, { search })],
  });
  return validateManifest(manifest).diagnostics.map(({ code, path }) => [code, path]);
}

const at = (part: string): string => `entities[0].search${part}`;
const cases: [SearchOptions, [code: string, path: string] | null][] = [
  [{ fields: { title: 3, body: 1 }, facets: ["count", "teamId"], sort: ["title"] }, null],
  [{ facets: ["count"] }, null],
  [{ fields: ["count"] }, ["SEARCH_FIELD_INVALID", at(".text")]],
  [{ fields: ["teamId"] }, ["SEARCH_FIELD_INVALID", at(".text")]],
  [{ fields: ["title"], facets: ["tags"] }, null],
  [{ fields: ["title"], facets: ["meta"] }, ["SEARCH_FIELD_INVALID", at(".facets")]],
  [{ fields: ["title"], sort: ["tags"] }, ["SEARCH_FIELD_INVALID", at(".sortable")]],
  [{ fields: ["title", "title"] }, ["SEARCH_FIELD_DUPLICATE", at(".text")]],
  [{ fields: Object.keys(many) }, ["SEARCH_FIELDS_TOO_MANY", at(".text")]],
  [{ fields: ["titel"] }, ["SEARCH_FIELD_NOT_FOUND", at("")]],
  [{ fields: ["secret"] }, ["FIELD_HIDDEN_SEARCHED", at("")]],
  [{ fields: ["title"], facets: ["secret"] }, ["FIELD_HIDDEN_SEARCHED", at("")]],
  [{ fields: { title: 0 } }, ["SEARCH_WEIGHT_INVALID", at(".weights")]],
  [{ fields: { title: 2000 } }, ["SEARCH_WEIGHT_INVALID", at(".weights")]],
  [
    { fields: { title: 5, body: 4, f0: 3, f1: 2, f2: 1 } },
    ["SEARCH_WEIGHT_INVALID", at(".weights")],
  ],
];

test.each(cases)("%j", (search, expected) => {
  expect(problemsOf(search)).toEqual(expected === null ? [] : [expected]);
});

test("fields of a user that sign-in hides can't be searched either", () => {
  const user = entity(
    "User",
    { email: field.string(), phone: field.string(), _note: field.string() },
    { search: { fields: ["phone"], facets: ["_note"] } },
  );
  const manifest = buildManifest({
    name: "app",
    version: "1.0.0",
    access: "public",
    entities: [user],
    auth: auth({ user: { hide: ["phone"] } }),
  });
  const codes = validateManifest(manifest).diagnostics.map(({ code }) => code);
  expect(codes.filter((code) => code === "FIELD_HIDDEN_SEARCHED")).toHaveLength(2);
});
