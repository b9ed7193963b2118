import { expect, test } from "bun:test";
import {
  compilePredicate,
  FALSE,
  parseFilter,
  QueryError,
  TRUE,
  type EntityShape,
  type FieldKind,
  type ScalarKind,
} from "./index.ts";

const todo: EntityShape = {
  name: "Todo",
  fields: new Map<string, FieldKind>([
    ["id", "id"],
    ["title", "string"],
    ["done", "bool"],
    ["rank", "int"],
    ["due", "datetime"],
    ["tags", "array"],
    ["meta", "json"],
    ["sizes", "array"],
    ["days", "array"],
  ]),
  items: new Map<string, ScalarKind>([
    ["sizes", "int"],
    ["days", "datetime"],
  ]),
};

function refusal(filter: unknown, checked = true): QueryError {
  try {
    parseFilter(filter, checked ? todo : undefined);
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
  throw new Error("The filter was accepted.");
}

function matches(filter: unknown, row: Record<string, unknown>): boolean {
  return compilePredicate(parseFilter(filter, todo).where)({ data: row });
}

test("each operator means what its name says", () => {
  const row = {
    id: "t1",
    title: "50%_off Milk",
    done: false,
    rank: 3,
    due: "2026-01-31T12:00:00.000Z",
  };
  const yes = [
    {},
    { done: false },
    { rank: { $gt: 2, $lte: 3 } },
    { title: { $like: "%_o" } },
    { title: { $startsWith: "50" } },
    { title: { $endsWith: " Milk" } },
    { title: { $endsWith: "" } },
    { title: { $ilike: "OFF milk" } },
    { title: { $ilike: "%_O" } },
    { rank: { $between: [3, 3] } },
    { title: { $between: ["5", "6"] } },
    { due: { $between: ["2026-01-31T13:00:00+01:00", "2026-02-01"] } },
    { rank: { $in: [1, 3] } },
    { rank: { $nin: [] } },
    { rank: { $ne: 4 } },
    { rank: { $not: 4 } },
    { title: { $exists: true } },
    { $or: [{ done: true }, { rank: 3 }] },
    { $and: [] },
    { $not: { done: true } },
    { due: { $lt: "2026-02-01" } },
    { due: "2026-01-31T13:00:00+01:00" },
  ];
  const no = [
    { done: true },
    { rank: { $gt: 2, $lt: 3 } },
    { title: { $like: "milk" } },
    { title: { $like: "5_%" } },
    { title: { $endsWith: "milk" } },
    { title: { $ilike: "5_o" } },
    { rank: { $between: [4, 2] } },
    { rank: { $between: [4, 9] } },
    { rank: { $in: [] } },
    { $or: [] },
    { title: null },
    { $not: {} },
    { rank: { $nin: [3] } },
    { title: { $exists: false } },
  ];
  for (const filter of yes) expect([filter, matches(filter, row)]).toEqual([filter, true]);
  for (const filter of no) expect([filter, matches(filter, row)]).toEqual([filter, false]);
});

test("a filter tests values inside lists and json, and matches values of the same type", () => {
  const row = {
    id: "t1",
    tags: ["red", 7],
    meta: { color: "red", size: { w: 3 }, tags: ["a"], none: null },
  };
  const yes = [
    { tags: { $has: "red" } },
    { tags: { $hasAny: ["blue", 7] } },
    { "meta.color": "red", "meta.size.w": { $between: [3, 3] } },
    { "meta.color": { $in: [1, "red"] }, "meta.tags": { $has: "a" } },
    { "meta.color": { $ilike: "RED" } },
    { "meta.none": null, "meta.tags.0": null, "meta.length": { $exists: false } },
    { "meta.size": { $exists: true } },
  ];
  const no = [
    { tags: { $has: "7" } },
    { tags: { $hasAny: [] } },
    { "meta.size": { $has: 3 } },
    { "meta.size.w": "3" },
    { "meta.color": { $gt: 1 } },
    { "meta.constructor": { $exists: true } },
  ];
  for (const filter of yes) expect([filter, matches(filter, row)]).toEqual([filter, true]);
  for (const filter of no) expect([filter, matches(filter, row)]).toEqual([filter, false]);
  const wrong: [unknown, string, string][] = [
    [{ title: { $has: "a" } }, "INVALID_QUERY", "title.$has"],
    [{ tags: { $has: null } }, "INVALID_QUERY", "tags.$has"],
    [{ sizes: { $has: null } }, "INVALID_QUERY", "sizes.$has"],
    [{ sizes: { $has: "2" } }, "INVALID_QUERY", "sizes.$has"],
    [{ sizes: { $hasAny: [2, "2"] } }, "INVALID_QUERY", "sizes.$hasAny[1]"],
    [{ days: { $has: "soon" } }, "INVALID_QUERY", "days.$has"],
    [{ tags: { $has: ["a"] } }, "INVALID_QUERY", "tags.$has"],
    [{ tags: { $hasAny: "a" } }, "INVALID_QUERY", "tags.$hasAny"],
    [{ tags: { $hasAny: ["a", {}] } }, "INVALID_QUERY", "tags.$hasAny[1]"],
    [{ tags: "a" }, "INVALID_QUERY", "tags"],
    [{ "title.a": 1 }, "INVALID_QUERY", "title.a"],
    [{ "mata.a": 1 }, "INVALID_COLUMN", "mata.a"],
    [{ "meta.": 1 }, "INVALID_QUERY", "meta."],
    [{ 'meta.a"b': 1 }, "INVALID_QUERY", 'meta.a"b'],
    [{ "meta.a\\b": 1 }, "INVALID_QUERY", "meta.a\\b"],
    [{ "meta.a.b.c.d.e.f.g.h.i": 1 }, "INVALID_QUERY", "meta.a.b.c.d.e.f.g.h.i"],
    [{ "meta.a": { b: 1 } }, "INVALID_QUERY", "meta.a.b"],
  ];
  for (const [filter, code, field] of wrong) {
    const { code: gotCode, field: gotField } = refusal(filter);
    expect([filter, gotCode, gotField]).toEqual([filter, code, field]);
  }
});

test("null is tested for by null, and matches nothing else", () => {
  const row = { id: "t1", title: null };
  for (const filter of [
    { title: null },
    { title: { $eq: null } },
    { title: { $in: [null] } },
    { title: { $ne: "x" } },
    { title: { $nin: ["x"] } },
  ])
    expect(matches(filter, row)).toBe(true);
  for (const filter of [
    { title: "" },
    { title: { $ne: null } },
    { title: { $gt: "" } },
    { title: { $like: "" } },
    { title: { $nin: [null] } },
  ])
    expect(matches(filter, row)).toBe(false);
});

test("the order keeps its sequence, in each of its three forms", () => {
  const order = [
    { field: "due", direction: "desc" },
    { field: "title", direction: "asc" },
  ] as const;
  for (const $order of [
    { due: "DESC", title: "asc" },
    [
      ["due", "Desc"],
      ["title", "ASC"],
    ],
    [{ due: "desc" }, { title: "asc" }],
  ]) {
    expect(parseFilter({ $order, $limit: 0, $offset: 5 }, todo)).toMatchObject({
      order,
      limit: 0,
      offset: 5,
      where: TRUE,
    });
  }
});

test("an invalid filter is rejected, with its place", () => {
  const cases: [unknown, string, string | undefined][] = [
    [{ $or: [{}, { title: { $gt: 1 } }] }, "INVALID_QUERY", "$or[1].title.$gt"],
    [{ titel: "x" }, "INVALID_COLUMN", "titel"],
    [{ title: { $regex: "x" } }, "INVALID_QUERY", "title.$regex"],
    [{ rank: { $ilike: "x" } }, "INVALID_QUERY", "rank.$ilike"],
    [{ due: { $endsWith: "Z" } }, "INVALID_QUERY", "due.$endsWith"],
    [{ title: { $ilike: "a\0" } }, "INVALID_QUERY", "title.$ilike"],
    [{ title: { $ilike: "a".repeat(1001) } }, "INVALID_QUERY", "title.$ilike"],
    [{ rank: { $between: 1 } }, "INVALID_QUERY", "rank.$between"],
    [{ rank: { $between: [1, 2, 3] } }, "INVALID_QUERY", "rank.$between"],
    [{ rank: { $between: [1, "2"] } }, "INVALID_QUERY", "rank.$between[1]"],
    [{ rank: { $between: [null, 2] } }, "INVALID_QUERY", "rank.$between[0]"],
    [{ done: { $between: [false, true] } }, "INVALID_QUERY", "done.$between[0]"],
    [{ title: {} }, "INVALID_QUERY", "title"],
    [{ title: ["a"] }, "INVALID_QUERY", "title"],
    [{ done: 1 }, "INVALID_QUERY", "done"],
    [{ rank: "1" }, "INVALID_QUERY", "rank"],
    [{ rank: { $in: [1, "2"] } }, "INVALID_QUERY", "rank.$in[1]"],
    [{ rank: { $in: 1 } }, "INVALID_QUERY", "rank.$in"],
    [{ rank: { $like: "1" } }, "INVALID_QUERY", "rank.$like"],
    [{ rank: { $gt: null } }, "INVALID_QUERY", "rank.$gt"],
    [{ done: { $gt: false } }, "INVALID_QUERY", "done.$gt"],
    [{ due: "yesterday" }, "INVALID_QUERY", "due"],
    [{ due: "2026-02-30" }, "INVALID_QUERY", "due"],
    [{ title: "a\0" }, "INVALID_QUERY", "title"],
    [{ title: { $like: "\ud800" } }, "INVALID_QUERY", "title.$like"],
    [{ $where: "1" }, "INVALID_QUERY", "$where"],
    [{ $and: [{ $limit: 1 }] }, "INVALID_QUERY", "$and[0].$limit"],
    [{ $or: {} }, "INVALID_QUERY", "$or"],
    [{ $limit: -1 }, "INVALID_QUERY", "$limit"],
    [{ $offset: 1.5 }, "INVALID_QUERY", "$offset"],
    [{ $order: { rank: "up" } }, "INVALID_QUERY", "$order.rank"],
    [{ $order: { rnak: "asc" } }, "INVALID_COLUMN", "$order.rnak"],
    [[], "INVALID_QUERY", ""],
    [null, "INVALID_QUERY", ""],
  ];
  for (const [filter, code, field] of cases) {
    const { code: gotCode, field: gotField } = refusal(filter);
    expect([filter, gotCode, gotField]).toEqual([filter, code, field]);
  }
  expect(refusal({ titel: "x" }).hint).toBe("Did you mean title?");
});

test("T16: keys of the prototype are unknown columns", () => {
  for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    expect(refusal(JSON.parse(`{"${key}": "x"}`)).code).toBe("INVALID_COLUMN");
    expect(refusal(JSON.parse(`{"$order": {"${key}": "asc"}}`)).code).toBe("INVALID_COLUMN");
    expect(refusal(JSON.parse(`{"title": {"${key}": "x"}}`)).code).toBe("INVALID_QUERY");
    expect(
      compilePredicate(parseFilter(JSON.parse(`{"${key}": {"$exists": true}}`)).where)({
        data: {},
      }),
    ).toBe(false);
  }
});

test("T17: a filter that is too large, too deep or too long is rejected", () => {
  let deep: unknown = {};
  for (let level = 0; level < 100_000; level += 1) deep = { $not: deep };
  expect(refusal(deep).code).toBe("INVALID_QUERY");
  expect(refusal({ $or: Array.from({ length: 300 }, () => ({})) }).code).toBe("INVALID_QUERY");
  expect(refusal({ $and: Array.from({ length: 200 }, () => ({ rank: 1, done: true })) }).code).toBe(
    "INVALID_QUERY",
  );
  expect(refusal({ rank: { $in: Array.from({ length: 1001 }, (_, index) => index) } }).code).toBe(
    "INVALID_QUERY",
  );
  expect(
    refusal({
      $or: Array.from({ length: 11 }, () => ({
        rank: { $in: Array.from({ length: 1000 }, (_, index) => index) },
      })),
    }).message,
  ).toContain("10000");
  expect(
    refusal({ $and: Array.from({ length: 17 }, () => ({ title: { $ilike: "a" } })) }).message,
  ).toContain("$ilike");
  expect(
    parseFilter({ rank: { $in: Array.from({ length: 1000 }, (_, index) => index) } }, todo).where
      .kind,
  ).toBe("in");
});

test("without an entity, as in the client engine, names and kinds are not checked", () => {
  expect(parseFilter({ anything: 1, other: { $in: [] } }).where).toEqual(FALSE);
  expect(refusal({ anything: { $regex: "x" } }, false).code).toBe("INVALID_QUERY");
});
