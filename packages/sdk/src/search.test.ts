import { expect, test } from "bun:test";
import { entity } from "./entity.ts";
import { field } from "./field.ts";
import type { SearchOptions } from "./search.ts";

const fields = { title: field.string(), body: field.richtext(), brand: field.string() };
const searchOf = (search: SearchOptions): unknown => entity("Note", fields, { search }).search;

test("both names of the lists and both forms of the fields make one search", () => {
  const plain = { text: ["title", "body"], facets: ["brand"], sortable: ["title"] };
  expect(searchOf({ fields: ["title", "body"], facets: ["brand"], sort: ["title"] })).toEqual(
    plain,
  );
  expect(searchOf({ text: ["title", "body"], facets: ["brand"], sortable: ["title"] })).toEqual(
    plain,
  );
  expect(searchOf({ fields: { title: 1, body: 1 }, facets: ["brand"], sort: ["title"] })).toEqual(
    plain,
  );
  expect(searchOf({ fields: { title: 2, body: 1 }, language: "english", prefix: true })).toEqual({
    text: ["title", "body"],
    facets: [],
    sortable: [],
    weights: { title: 2 },
    language: "english",
    prefix: true,
  });
  expect(searchOf({})).toEqual({ text: [], facets: [], sortable: [] });
});

test("a list under both of its names is an error, and an unknown key is kept", () => {
  expect(() => searchOf({ fields: ["title"], text: ["body"] })).toThrow(
    'The search of Note has fields and text, which mean the same: write "fields" alone.',
  );
  expect(() => searchOf({ sort: [], sortable: [] })).toThrow("sort and sortable");
  const misspelt = { fields: ["title"], facet: ["brand"] };
  expect(searchOf(misspelt)).toMatchObject({ facet: ["brand"] });
});
