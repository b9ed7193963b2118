import { expect, test } from "bun:test";
import { MergeTimes } from "./merge-times.ts";

test("the time for a caller's merges is forgotten at a tenth of its speed", () => {
  let now = 0;
  const times = new MergeTimes({ monotonic: () => now });
  times.add("ann", 500);
  times.add("eve", 6_000);
  expect([times.of("ann"), times.of("eve"), times.of("tom")]).toEqual([500, 6_000, 0]);
  now += 10_000;
  expect([times.of("ann"), times.of("eve")]).toEqual([0, 5_000]);
  times.add("eve", 6_000);
  expect(times.untilBelow("eve", 10_000)).toBe(10_000);
  now += 10_000;
  expect([times.of("eve"), times.untilBelow("eve", 10_000)]).toEqual([10_000, 0]);
  // Many callers that come once are forgotten.
  for (let count = 0; count < 3_000; count += 1) {
    times.add(`guest ${count}`, 1);
    now += 1;
  }
  expect(times.of("eve")).toBeGreaterThan(9_000);
  expect(times.size).toBeLessThan(1_500);
});
