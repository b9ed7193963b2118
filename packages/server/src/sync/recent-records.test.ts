import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ChangeRecord } from "../store/store.ts";
import { RecentRecords } from "./recent-records.ts";

function change(seq: number, bytes: number): ChangeRecord {
  const after = { id: "x".repeat(bytes) };
  return { seq, entity: "Todo", rowId: "1", kind: "insert", before: null, after, at: 0 };
}

test("it has the newest changes without a gap, as far as they are small enough", () => {
  const added = fc.array(fc.record({ step: fc.integer({ min: -1, max: 2 }), bytes: fc.nat(12) }));
  const limits = fc.record({ records: fc.integer({ min: 1, max: 6 }), bytes: fc.nat(40) });
  fc.assert(
    fc.property(added, limits, fc.nat(30), fc.nat(8), (steps, limit, after, count) => {
      const recent = new RecentRecords(limit.records, limit.bytes);
      let held: { readonly seq: number; readonly bytes: number }[] = [];
      let seq = 0;
      for (const { step, bytes } of steps) {
        const next = Math.max(1, seq + step);
        recent.add(change(next, bytes));
        if (next <= seq) continue;
        if (next !== seq + 1) held = [];
        held.push({ seq: next, bytes });
        seq = next;
        const size = (): number => held.reduce((sum, one) => sum + one.bytes, 0);
        while (held.length > limit.records || size() > limit.bytes) held.shift();
      }
      const end = after + count;
      const wanted = held.filter((one) => one.seq > after && one.seq <= end);
      const found = recent.between(after, end);
      if (found !== null) expect(found.map((one) => one.seq)).toEqual(wanted.map((one) => one.seq));
      expect(found === null || found.length === count).toBe(true);
      if (wanted.length === count && count > 0) expect(found).not.toBeNull();
    }),
    { numRuns: 500 },
  );
});
