import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ChangeRecord } from "../store/store.ts";
import { RecentChanges } from "./recent-changes.ts";

function change(
  seq: number,
  more: { readonly at?: number; readonly bytes?: number },
): ChangeRecord {
  const { at = 0, bytes = 0 } = more;
  const after = { id: "x".repeat(bytes) };
  return { seq, entity: "Todo", rowId: "1", kind: "insert", before: null, after, at };
}

test("it answers as a list of the newest changes does, whichever were told before", () => {
  const changes = fc.array(fc.record({ seq: fc.integer({ min: 1, max: 30 }), at: fc.nat(20) }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(changes, fc.integer({ min: 1, max: 5 }), fc.nat(21), (all, limit, at) => {
      const recent = new RecentChanges(limit, 0);
      const known: { readonly seq: number; readonly at: number }[] = [];
      for (const one of all) {
        recent.add(change(one.seq, one));
        if (one.seq > (known.at(-1)?.seq ?? 0)) known.push(one);
        const expected = known.slice(-limit).find((newest) => newest.at >= at)?.seq;
        expect(recent.firstSince(at)).toBe(expected);
      }
    }),
  );
});

test("it has the rows of the newest changes without a gap, as far as they are small enough", () => {
  const added = fc.array(fc.record({ step: fc.integer({ min: -1, max: 2 }), bytes: fc.nat(12) }));
  const limits = fc.record({ changes: fc.integer({ min: 1, max: 6 }), bytes: fc.nat(40) });
  fc.assert(
    fc.property(added, limits, fc.nat(30), fc.nat(8), (steps, limit, after, count) => {
      const recent = new RecentChanges(limit.changes, limit.bytes);
      let held: { readonly seq: number; readonly bytes: number }[] = [];
      let seq = 0;
      for (const { step, bytes } of steps) {
        const next = Math.max(1, seq + step);
        recent.add(change(next, { bytes }));
        if (next <= seq) continue;
        if (next !== seq + 1) held = [];
        held.push({ seq: next, bytes });
        seq = next;
        const size = (): number => held.reduce((sum, one) => sum + one.bytes, 0);
        while (held.length > limit.changes || size() > limit.bytes) held.shift();
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
