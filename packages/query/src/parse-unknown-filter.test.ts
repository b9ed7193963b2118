import { expect, test } from "bun:test";
import { QueryError } from "./errors.ts";
import { FALSE } from "./expr.ts";
import { parseLocalFilter } from "./parse-local-filter.ts";
import { parseFilter } from "./parse-filter.ts";
import { isRelatedFilter, parseUnknownFilter } from "./parse-unknown-filter.ts";
import type { Relation, Relations } from "./related-names.ts";

const RELATION: Relation = {
  entity: { name: "User", fields: new Map() },
  key: "authorId",
  field: "id",
  readable: FALSE,
  relations,
};

function relations(...[, , asked]: Parameters<Relations>): Relation | undefined {
  return isRelatedFilter(asked) ? RELATION : undefined;
}

test.each([
  {},
  { done: false, $order: { at: "desc" }, $limit: 5, $offset: 2 },
  { n: { $between: [1, 2] }, text: { $like: "a" }, tags: { $has: "x" } },
  { at: { $gt: new Date(0) }, "meta.of.n": { $in: [1, "a", null] } },
  { $or: [{ author: { name: "x" } }, { author: null }] },
  { author: { $not: { team: { $or: [{ name: "x" }] } } }, $not: { author: { name: "x" } } },
])("%j is parsed as by parseLocalFilter without an entity", (filter) => {
  expect(parseUnknownFilter(filter)).toEqual(parseLocalFilter(filter, undefined, relations));
});

test.each([
  { n: undefined },
  { n: { $more: 1 } },
  { $order: { at: "up" } },
  { author: { $gt: 1, name: [] } },
  { author: { name: [] } },
  { author: { team: { name: { $more: 1 } } } },
  { text: { $like: 1 } },
])("%j is rejected as by parseLocalFilter without an entity", (filter) => {
  const errorOf = (parse: () => unknown): QueryError => {
    try {
      parse();
    } catch (error) {
      if (error instanceof QueryError) return error;
    }
    throw new Error("The filter was accepted.");
  };
  const { message, field, hint } = errorOf(() => parseUnknownFilter(filter));
  const expected = errorOf(() => parseLocalFilter(filter, undefined, relations));
  expect([message, field, hint]).toEqual([expected.message, expected.field, expected.hint]);
});

test.each([
  ["a list", { n: { $in: Array.from({ length: 1001 }, (_, index) => index) } }],
  ["conditions", { $and: Array.from({ length: 300 }, (_, index) => ({ n: index })) }],
  ["searches", { $or: Array.from({ length: 17 }, () => ({ text: { $like: "a" } })) }],
  ["a text", { text: { $like: "a".repeat(1001) } }],
])("only a server limits the length of %s", (_what, filter) => {
  expect(() => parseFilter(filter)).toThrow("at most");
  expect(() => parseUnknownFilter(filter)).not.toThrow();
});

test("a filter that contains itself is rejected", () => {
  const filter: { $or: unknown[] } = { $or: [] };
  filter.$or.push(filter);
  expect(() => parseUnknownFilter(filter)).toThrow("at most 16 levels");
});
