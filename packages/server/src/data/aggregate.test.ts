import { expect, test } from "bun:test";
import { MAX_AGGREGATE_TERMS, PylonError } from "@pylonsync/protocol";
import { FALSE, TRUE, type EntityShape, type FieldKind } from "@pylonsync/query";
import fc from "fast-check";
import { parseAggregate } from "./aggregate.ts";

const KINDS = {
  id: "id",
  title: "string",
  n: "int",
  x: "float",
  done: "bool",
  at: "datetime",
  // Field names that are also names of results.
  count: "int",
  sum_n: "int",
} as const satisfies Record<string, FieldKind>;
const shape: EntityShape = { name: "Item", fields: new Map(Object.entries(KINDS)) };
type Name = keyof typeof KINDS;

const anyOf = (kinds: readonly FieldKind[]): fc.Arbitrary<Name[]> =>
  fc.array(
    fc.constantFrom(
      ...(Object.keys(KINDS) as Name[]).filter((name) => kinds.includes(KINDS[name])),
    ),
    { maxLength: 3 },
  );
const ordered: readonly FieldKind[] = ["id", "string", "int", "float", "datetime"];
const group = fc.oneof(
  fc.constantFrom(...(Object.keys(KINDS) as Name[])),
  fc.record({
    field: fc.constant("at"),
    bucket: fc.constantFrom("hour", "day", "week", "month", "year"),
  }),
);
/** Valid requests, except that two of the results may have the same name. */
const specs = fc.record(
  {
    count: fc.boolean(),
    sum: anyOf(["int", "float"]),
    avg: anyOf(["int", "float"]),
    min: anyOf(ordered),
    max: anyOf(ordered),
    countDistinct: anyOf([...ordered, "bool"]),
    groupBy: fc.array(group, { maxLength: 3 }),
    where: fc.constant({}),
  },
  { requiredKeys: [] },
);

type Spec = typeof specs extends fc.Arbitrary<infer S> ? S : never;

function parse(spec: unknown) {
  return parseAggregate(shape, spec, { parseWhere: () => FALSE, related: () => undefined });
}

function refusal(spec: unknown): PylonError {
  try {
    parse(spec);
  } catch (error) {
    if (error instanceof PylonError) return error;
    throw error;
  }
  throw new Error("The aggregate was accepted.");
}

/** The names of the results: a value that is requested twice is returned once. */
function namesOf({ count = false, groupBy = [], ...rest }: Spec): readonly string[] {
  const { sum = [], avg = [], min = [], max = [], countDistinct = [] } = rest;
  const measures = Object.entries({ sum, avg, min, max, countDistinct }).flatMap(([fn, fields]) =>
    [...new Set(fields)].map((field) => `${fn}_${field}`),
  );
  const groups = groupBy.map((item) => (typeof item === "string" ? item : item.field));
  return [...(count ? ["count"] : []), ...measures, ...groups];
}

test("each term has a result under its own name, or terms with the same name are rejected", () => {
  fc.assert(
    fc.property(specs, (spec) => {
      const names = namesOf(spec);
      const groups = spec.groupBy?.length ?? 0;
      if (names.length === groups || new Set(names).size < names.length) {
        expect(refusal(spec).code).toBe("INVALID_QUERY");
        return;
      }
      const { where, groupBy, measures } = parse(spec);
      expect([...measures, ...groupBy].map(({ as }) => as).toSorted()).toEqual(names.toSorted());
      expect(where).toBe(spec.where === undefined ? TRUE : FALSE);
    }),
    { numRuns: 300 },
  );
});

test("a term that the kind of its field does not support is rejected, with the place", () => {
  const misfits: fc.Arbitrary<readonly [object, string]> = fc.constantFrom(
    [{ sum: ["title"] }, "sum"],
    [{ avg: ["at"] }, "avg"],
    [{ min: ["done"] }, "min"],
    [{ max: ["n", 1] }, "max[1]"],
    [{ countDistinct: "n" }, "countDistinct"],
    [{ count: true, groupBy: ["n", { field: "title", bucket: "day" }] }, "groupBy[1].bucket"],
    [{ count: true, groupBy: [{ field: "at", bucket: "minute" }] }, "groupBy[0].bucket"],
    [{ count: true, groupBy: [null] }, "groupBy[0]"],
    [{ count: true, having: [] }, "having"],
    [[], ""],
    [{ groupBy: ["n"] }, ""],
  );
  fc.assert(
    fc.property(misfits, ([spec, field]) => {
      expect([refusal(spec).code, refusal(spec).field]).toEqual(["INVALID_QUERY", field]);
    }),
  );
});

test("a field that the entity does not have is rejected in each place", () => {
  for (const spec of [
    { sum: ["nope"] },
    { countDistinct: ["__proto__"] },
    { count: true, groupBy: ["nope"] },
    { count: true, groupBy: [{ field: "nope", bucket: "day" }] },
  ])
    expect(refusal(spec).code).toBe("INVALID_COLUMN");
});

test("the maximum number of terms is accepted, and one more is rejected", () => {
  const fields = Array.from({ length: MAX_AGGREGATE_TERMS }, (_, index) => `f${index}`);
  const wide: EntityShape = { name: "Wide", fields: new Map(fields.map((name) => [name, "int"])) };
  const parseWide = (spec: unknown) =>
    parseAggregate(wide, spec, { parseWhere: () => TRUE, related: () => undefined }).measures
      .length;
  expect(parseWide({ sum: fields })).toBe(MAX_AGGREGATE_TERMS);
  expect(() => parseWide({ count: true, sum: fields })).toThrow(PylonError);
});
