import { expect, test } from "bun:test";
import fc from "fast-check";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { TimeoutQueue, type Timed } from "./timeout-queue.ts";

const MS = 100;

class Waiting implements Timed {
  readonly dueAt: number;
  readonly expired: number[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.dueAt = now() + MS;
  }

  expire(): void {
    this.expired.push(this.#now());
  }
}

test("each expires when its time is up, unless it is deleted before", () => {
  const steps = fc.array(
    fc.record({
      wait: fc.integer({ min: 0, max: 60 }),
      /** Which of the added entries is deleted; larger values: none. */
      over: fc.nat({ max: 12 }),
    }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const platform = new ManualPlatform();
      const queue = new TimeoutQueue(MS, platform);
      const added: { readonly one: Waiting; overAt: number }[] = [];
      for (const { wait, over } of all) {
        const one = new Waiting(platform.monotonic);
        queue.add(one);
        added.push({ one, overAt: Infinity });
        platform.advance(wait);
        const ended = added[over];
        if (ended === undefined) continue;
        queue.delete(ended.one);
        ended.overAt = Math.min(ended.overAt, platform.monotonic());
      }
      platform.advance(2 * MS);
      for (const { one, overAt } of added)
        expect(one.expired).toEqual(overAt < one.dueAt ? [] : [one.dueAt]);
    }),
    { numRuns: 200 },
  );
});

test("it is idle when nothing waits, and continues with new entries", () => {
  const platform = new ManualPlatform();
  let idle = 0;
  const queue = new TimeoutQueue(MS, platform, () => {
    idle += 1;
  });
  const first = new Waiting(platform.monotonic);
  queue.add(first);
  queue.delete(first);
  platform.advance(MS);
  expect([idle, first.expired]).toEqual([1, []]);
  const second = new Waiting(platform.monotonic);
  queue.add(second);
  platform.advance(MS);
  expect([idle, second.expired]).toEqual([2, [second.dueAt]]);
});
