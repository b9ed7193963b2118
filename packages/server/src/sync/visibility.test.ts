import { expect, test } from "bun:test";
import fc from "fast-check";
import { logOf, readable, readerOf, type Replica } from "./history.arbitraries.ts";
import { callers, model, writes } from "./membership.arbitraries.ts";
import { Visibility } from "./visibility.ts";

test("a change that turns what a caller may read of another entity bears on its rights", () => {
  fc.assert(
    fc.property(writes, callers, (all, caller) => {
      const { records, states } = logOf(all);
      for (const [index, record] of records.entries()) {
        const othersOf = (replica: Replica): unknown[] =>
          [...replica.keys()].filter((key) => key !== `${record.entity} ${record.rowId}`);
        const before = othersOf(readable(model, states[index], caller));
        const after = othersOf(readable(model, states[index + 1], caller));
        if (Bun.deepEquals(new Set(before), new Set(after))) continue;
        const visibility = new Visibility(readerOf(states[index + 1] ?? new Map()), model, () => 0);
        expect(visibility.affectsPermissions(record, caller)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});
