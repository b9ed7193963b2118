import { expect, test } from "bun:test";
import fc from "fast-check";
import { compareValues, normaliseDatetime, sortRows } from "./index.ts";

test("text is ordered by code point, as databases order it", () => {
  const sorted = [
    "",
    "A",
    "a",
    "z\u0301",
    "é",
    "\uD7FF",
    "\uE000",
    "\uFFFD",
    "\u{10000}",
    "\u{1F600}",
    "\u{1F600}a",
  ];
  expect(sorted.toReversed().toSorted(compareValues)).toEqual(sorted);
});

test("false comes before true, and null last", () => {
  expect([null, true, false, undefined].toSorted((a, b) => compareValues(a, b))).toEqual([
    false,
    true,
    null,
    undefined,
  ]);
  expect([10, null, 9, -1].toSorted(compareValues)).toEqual([-1, 9, 10, null]);
});

test("the first key comes first, ties go by ascending id, and desc puts nulls first", () => {
  const rows = [
    { id: "d", a: 1, b: "x" },
    { id: "c", a: 1, b: null },
    { id: "b", a: null, b: "x" },
    { id: "a", a: 1, b: "x" },
  ];
  const ids = (...order: Parameters<typeof sortRows>[1]): string =>
    sortRows(rows, order)
      .map(({ id }) => id)
      .join("");
  expect(ids({ field: "a", direction: "asc" }, { field: "b", direction: "asc" })).toBe("adcb");
  expect(ids({ field: "a", direction: "desc" }, { field: "b", direction: "desc" })).toBe("bcad");
  expect(ids()).toBe("abcd");
});

test("all spellings of a moment have one normal form", () => {
  const cases: [string, string | undefined][] = [
    ["2026-01-31", "2026-01-31T00:00:00.000Z"],
    ["2026-01-31T12:34Z", "2026-01-31T12:34:00.000Z"],
    ["2026-01-31T12:34:56", "2026-01-31T12:34:56.000Z"],
    ["2026-01-31 12:34:56.123456789+01:30", "2026-01-31T11:04:56.123Z"],
    ["2026-01-31T12:34:56.1-0200", "2026-01-31T14:34:56.100Z"],
    ["2024-02-29", "2024-02-29T00:00:00.000Z"],
    ["0001-01-01", "0001-01-01T00:00:00.000Z"],
    ["2026-02-29", undefined],
    ["2026-02-30T00:00:00Z", undefined],
    ["2026-01-01T24:00:00Z", undefined],
    ["2026-01-01T23:59:60Z", undefined],
    ["2026-01-01T00:00:00+24:00", undefined],
    ["9999-12-31T23:59:59-01:00", undefined],
    ["0001-01-01T00:00:00+01:00", undefined],
    ["0000-06-01", undefined],
    ["1 Jan 2026", undefined],
    ["2026", undefined],
  ];
  for (const [text, normal] of cases)
    expect([text, normaliseDatetime(text)]).toEqual([text, normal]);
});

/** Letters, and the units for which the two orders of text differ. */
const text = fc.array(
  fc.oneof(
    fc.constantFrom("a", "b", "Z", "é", "\uD7FF", "\uE000", "\uFFFD", "\u{10000}", "\u{1F600}"),
    fc.constantFrom("\uD83D", "\uDE00"),
    fc.string({ maxLength: 3 }),
  ),
  { maxLength: 6 },
);
const plainText = fc.string({ maxLength: 8 });

test("E2: rows are sorted in the order of their values, whatever texts they contain", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(fc.option(text.map((parts) => parts.join("")))),
        fc.array(fc.option(plainText)),
      ),
      fc.constantFrom("asc" as const, "desc" as const),
      (values, direction) => {
        const rows = values.map((value, index) => ({ id: String(index).padStart(3, "0"), value }));
        const sorted = sortRows(rows, [{ field: "value", direction }]);
        const expected = rows.toSorted((a, b) => {
          const result = compareValues(a.value, b.value);
          return (direction === "asc" ? result : -result) || (a.id < b.id ? -1 : 1);
        });
        expect(sorted).toEqual(expected);
      },
    ),
    { numRuns: 500 },
  );
});
