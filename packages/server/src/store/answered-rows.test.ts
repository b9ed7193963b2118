import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  asStoredRow,
  asStoredRows,
  changeValues,
  numberOf,
  textOf,
  toChange,
} from "./answered-rows.ts";
import type { ChangeRecord, StoredRow } from "./store.ts";

const value = fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null));
const row: fc.Arbitrary<StoredRow> = fc
  .record({ id: fc.string(), fields: fc.dictionary(fc.string(), value) })
  .map(({ id, fields }) => ({ ...fields, id }));
const change: fc.Arbitrary<ChangeRecord> = fc.record({
  seq: fc.nat(),
  entity: fc.string(),
  rowId: fc.string(),
  kind: fc.constantFrom("insert", "update", "delete"),
  before: fc.option(row),
  after: fc.option(row),
  at: fc.nat(),
});
const COLUMNS = ["entity", "row_id", "kind", "before", "after", "at"];

test("a change that is written and read again is unchanged", () => {
  fc.assert(
    fc.property(change, ({ seq, ...written }) => {
      const values = changeValues(written);
      const columns = Object.fromEntries(
        COLUMNS.map((name, index) => [name, values[index] ?? null]),
      );
      const read = toChange({ ...columns, seq });
      // Neither JSON nor a database has a negative zero.
      expect(JSON.stringify(read)).toBe(JSON.stringify({ seq, ...written }));
    }),
  );
});

test("a column of another type throws an error with the column's name, without the value", () => {
  fc.assert(
    fc.property(value, (found) => {
      const read = { name: found };
      if (typeof found === "string") expect(textOf(read, "name")).toBe(found);
      else expect(() => textOf(read, "name")).toThrow('without the text "name"');
      if (typeof found === "number") expect(numberOf(read, "name")).toBe(found);
      else expect(() => numberOf(read, "name")).toThrow('without the number "name"');
      expect(() => textOf({}, "name")).toThrow('without the text "name"');
    }),
  );
});

test("a row is passed on unchanged, and rejected without an id", () => {
  const first = { id: "a", n: 1 };
  const rows = [first, { id: "b", n: null }];
  expect<unknown>(asStoredRows(rows)).toBe(rows);
  expect<unknown>(asStoredRow(first)).toBe(first);
  expect(() => asStoredRow({ n: 1 })).toThrow('without the text "id"');
  expect(() => asStoredRows([...rows, { id: "c", n: 1 }, { n: 1 }])).toThrow('text "id"');
});

test("a change of an unknown kind is rejected", () => {
  const columns = { seq: 1, entity: "E", row_id: "r", kind: "upsert", at: 1 };
  expect(() => toChange(columns)).toThrow('"upsert"');
});
