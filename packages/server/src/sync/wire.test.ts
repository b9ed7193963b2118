import { expect, test } from "bun:test";
import { isChangeEvent } from "@pylonsync/protocol";
import fc from "fast-check";
import type { ChangeRecord, StoredRow } from "../store/store.ts";
import { changedFields, deleteEvent, insertEvent, patchEvent } from "./wire.ts";

const rows: fc.Arbitrary<StoredRow> = fc.record({
  id: fc.constant("r1"),
  a: fc.constantFrom("x", "y", null),
  b: fc.constantFrom(1, 2, null),
  c: fc.boolean(),
});
const times = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(2 ** 42) });

function recordOf(before: StoredRow | null, after: StoredRow | null, at = 0): ChangeRecord {
  return { seq: 7, entity: "Todo", rowId: "r1", kind: "update", before, after, at };
}

test("a patch over the row before is the row after, and names nothing else", () => {
  fc.assert(
    fc.property(rows, rows, times, (before, after, time) => {
      const record = recordOf(before, after, time.getTime());
      const event = patchEvent(record, after, changedFields(record));
      expect({ ...before, ...event?.data }).toEqual(after);
      for (const [name, value] of Object.entries(event?.data ?? {}))
        expect(before[name]).not.toBe(value as string);
      if (event !== undefined) expect(event.timestamp).toBe(time.toISOString());
    }),
  );
});

test("of fields that the reader may not see nothing is told, nor that they changed", () => {
  fc.assert(
    fc.property(rows, rows, fc.subarray(["a", "b", "c"]), (before, after, hidden) => {
      const shown = Object.fromEntries(
        Object.entries(after).filter(([name]) => !hidden.includes(name)),
      );
      const changed = changedFields(recordOf(before, after));
      const event = patchEvent(recordOf(before, after), { id: "r1", ...shown }, changed);
      const expected = changed.filter((name) => !hidden.includes(name));
      expect(Object.keys(event?.data ?? {}).toSorted()).toEqual(expected.toSorted());
      expect(event === undefined).toBe(expected.length === 0);
    }),
  );
});

test("a hidden field may have the name of what every object inherits", () => {
  const record = recordOf(null, { id: "r1", constructor: "a" });
  expect(patchEvent(record, { id: "r1", a: "x" }, ["constructor"])).toBeUndefined();
});

test("all fields of a row that comes or goes have changed", () => {
  fc.assert(
    fc.property(rows, (row) => {
      const fields = Object.keys(row);
      expect(changedFields(recordOf(null, row))).toEqual(fields);
      expect(changedFields(recordOf(row, null))).toEqual(fields);
      expect(changedFields(recordOf(row, { ...row }))).toEqual([]);
    }),
  );
});

test("events are as the protocol has them; a row that is gone has no content", () => {
  fc.assert(
    fc.property(rows, times, fc.integer({ min: 1 }), (row, time, seq) => {
      const insert = insertEvent(seq, "Todo", row, time.getTime());
      const gone = deleteEvent(seq, "Todo", row.id, time.getTime());
      expect(isChangeEvent(JSON.parse(JSON.stringify(insert)))).toBe(true);
      expect(isChangeEvent(JSON.parse(JSON.stringify(gone)))).toBe(true);
      expect([insert.data, gone.data]).toEqual([row, undefined]);
    }),
  );
});
