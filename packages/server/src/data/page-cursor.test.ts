import { MAX_CURSOR_LENGTH, PylonError } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeCursor, encodeCursor, type PageCursor, type PagedQuery } from "./page-cursor.ts";

const QUERY: PagedQuery = {
  entity: "Note",
  where: { n: { $gt: 1 }, text: "a" },
  keys: [
    { field: "n", direction: "asc", kind: "int", isNullable: true },
    { field: "text", direction: "desc", kind: "string", isNullable: false },
    { field: "id", direction: "asc", kind: "id", isNullable: false },
  ],
};
const cursors: fc.Arbitrary<PageCursor> = fc.record({
  way: fc.constantFrom("after", "before", "through"),
  values: fc.tuple(
    fc.option(fc.integer(), { nil: null }),
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.constantFrom("a", "row-1"),
  ),
});

function refusal(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof PylonError)) throw error;
    return [error.code, error.field];
  }
}

test("a cursor is decoded as it was encoded, even if the filter's keys are reordered", () => {
  const where = { text: "a", n: { $gt: 1 } };
  fc.assert(
    fc.property(cursors, (cursor) => {
      const text = encodeCursor(cursor, QUERY);
      expect(decodeCursor(text, QUERY)).toEqual(cursor);
      expect(decodeCursor(text, { ...QUERY, where })).toEqual(cursor);
    }),
  );
});

test.each<[what: string, query: PagedQuery]>([
  ["entity", { ...QUERY, entity: "Other" }],
  ["filter", { ...QUERY, where: { n: { $gt: 2 }, text: "a" } }],
  ["order", { ...QUERY, keys: QUERY.keys.toReversed() }],
])("a cursor means nothing with another %s", (_, query) => {
  fc.assert(
    fc.property(cursors, (cursor) => {
      const text = encodeCursor(cursor, QUERY);
      expect(refusal(() => decodeCursor(text, query))).toEqual(["INVALID_QUERY", "cursor"]);
    }),
    { numRuns: 20 },
  );
});

test("a text that is not a cursor is rejected, and so is a changed cursor", () => {
  fc.assert(
    fc.property(cursors, fc.nat(), fc.constantFrom("A", "-", ".", ""), (cursor, at, sign) => {
      const text = encodeCursor(cursor, QUERY);
      const place = at % text.length;
      const changed = text.slice(0, place) + sign + text.slice(place + 1);
      if (changed === text) return;
      expect(refusal(() => decodeCursor(changed, QUERY))).toEqual(["INVALID_QUERY", "cursor"]);
    }),
  );
  for (const other of ["", ".", "1.", "1..", "2.a.b", 7, null, {}, "1." + "a".repeat(20_000)])
    expect(refusal(() => decodeCursor(other, QUERY))).toEqual(["INVALID_QUERY", "cursor"]);
});

test("values that make a cursor too long are rejected when it is created", () => {
  const cursor = { way: "after", values: [1, "x".repeat(MAX_CURSOR_LENGTH), "a"] } as const;
  expect(refusal(() => encodeCursor(cursor, QUERY))).toEqual(["INVALID_QUERY", "order"]);
});
