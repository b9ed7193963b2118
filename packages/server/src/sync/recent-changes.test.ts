import { expect, test } from "bun:test";
import fc from "fast-check";
import { RecentChanges } from "./recent-changes.ts";

test("it answers as a list of the newest changes does, whichever were told before", () => {
  const changes = fc.array(fc.record({ seq: fc.integer({ min: 1, max: 30 }), at: fc.nat(20) }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(changes, fc.integer({ min: 1, max: 5 }), fc.nat(21), (all, limit, at) => {
      const recent = new RecentChanges(limit);
      const known: { readonly seq: number; readonly at: number }[] = [];
      for (const change of all) {
        recent.add(change.seq, change.at);
        if (change.seq > (known.at(-1)?.seq ?? 0)) known.push(change);
        const expected = known.slice(-limit).find((one) => one.at >= at)?.seq;
        expect(recent.firstSince(at)).toBe(expected);
      }
    }),
  );
});
