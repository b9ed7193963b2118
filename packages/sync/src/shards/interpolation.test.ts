import { expect, test } from "bun:test";
import fc from "fast-check";
import { interpolate } from "./interpolation.ts";

const STEP_MS = 50;
const FRAME_MS = 16;

/** What a client showed in one frame. */
interface Seen {
  readonly nowMs: number;
  readonly tick: number;
  readonly value: number;
  /** The newest step that had arrived by then. */
  readonly newest: number;
}

/** Views that arrive at their times, in order, shown frame by frame. */
function watch(views: readonly { readonly tick: number; readonly atMs: number }[]): Seen[] {
  const interpolation = interpolate<number>({ tickRate: 1000 / STEP_MS });
  const waiting = [...views];
  const seen: Seen[] = [];
  const lastMs = (views.at(-1)?.atMs ?? 0) + 500;
  for (let nowMs = views[0]?.atMs ?? 0; nowMs <= lastMs; nowMs += FRAME_MS) {
    while (waiting[0] !== undefined && waiting[0].atMs <= nowMs) {
      const { tick, atMs } = waiting.shift() ?? { tick: 0, atMs: 0 };
      interpolation.add(valueAt(tick), tick, atMs);
    }
    const moment = interpolation.at(nowMs);
    if (moment === null) continue;
    const { from, to, share, tick } = moment;
    const newest = views[views.length - waiting.length - 1]?.tick ?? 0;
    seen.push({ nowMs, tick, value: from + (to - from) * share, newest });
  }
  return seen;
}

/** An endless, uneven motion. */
function valueAt(tick: number): number {
  return tick * 10 + (tick % 3);
}

/** Travel times of steps: some are delayed, none overtakes the one before it. */
const journeys = fc
  .record({
    delayMs: fc.nat(400),
    lateMs: fc.array(fc.oneof(fc.constant(0), fc.nat(120)), { minLength: 2, maxLength: 80 }),
  })
  .map(({ delayMs, lateMs }) => {
    let before = 0;
    return lateMs.map((late, index) => {
      before = Math.max(before, (index + 1) * STEP_MS + delayMs + late);
      return { tick: index + 1, atMs: before };
    });
  });

test("at any moment it shows the state between the two views around it", () => {
  fc.assert(
    fc.property(journeys, (views) => {
      for (const { nowMs, tick, value } of watch(views)) {
        const known = views.filter(({ atMs }) => atMs <= nowMs).map((view) => view.tick);
        const bounded = Math.min(Math.max(tick, Math.min(...known)), Math.max(...known));
        const [low, high] = [valueAt(Math.floor(bounded)), valueAt(Math.ceil(bounded))];
        const expected = low + (high - low) * (bounded - Math.floor(bounded));
        // Before the second view there is only the first one.
        if (tick >= 1) expect(value).toBeCloseTo(expected, 6);
        else expect(value).toBe(valueAt(1));
      }
    }),
  );
});

test("time never goes back, and no frame jumps, whatever the network does", () => {
  fc.assert(
    fc.property(journeys, (views) => {
      const seen = watch(views);
      for (const [index, { tick, newest }] of seen.entries()) {
        const before = seen[index - 1];
        if (before === undefined) continue;
        const passedMs = (tick - before.tick) * STEP_MS;
        expect(passedMs).toBeLessThanOrEqual(FRAME_MS * 1.151);
        // It only stops if nothing more has arrived.
        if (tick < newest) expect(passedMs).toBeGreaterThanOrEqual(FRAME_MS * 0.849);
        else expect(passedMs).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});

test("a steady network has one step of delay, however long its latency is", () => {
  for (const delayMs of [0, 30, 400]) {
    const views = Array.from({ length: 60 }, (_, index) => ({
      tick: index + 1,
      atMs: (index + 1) * STEP_MS + delayMs,
    }));
    for (const { nowMs, tick, newest } of watch(views).slice(10))
      if (newest < 60) expect(nowMs - delayMs - tick * STEP_MS).toBeCloseTo(STEP_MS, 6);
  }
});

test("it waits longer if views arrive late, so that they are there when needed", () => {
  const interpolation = interpolate<number>({ tickRate: 20 });
  for (let tick = 1; tick <= 64; tick += 1)
    interpolation.add(tick, tick, tick * STEP_MS + (tick % 4 === 0 ? 80 : 0));
  expect(interpolation.delayMs).toBe(STEP_MS + 80);
  for (let tick = 65; tick <= 128; tick += 1) interpolation.add(tick, tick, tick * STEP_MS);
  expect(interpolation.delayMs).toBe(STEP_MS);
});

test("a view is shown until the step before the next one, for steps without a change", () => {
  const interpolation = interpolate<string>({ tickRate: 20 });
  interpolation.add("a", 1, 1 * STEP_MS);
  interpolation.add("b", 9, 9 * STEP_MS);
  const shares = [8, 9, 9.5, 10].map((step) => {
    const moment = interpolation.at(step * STEP_MS);
    return moment === null ? null : [moment.from, moment.to, moment.share];
  });
  expect(shares).toEqual([
    ["a", "b", 0],
    ["a", "b", 0],
    ["a", "b", 0.5],
    ["b", "b", 1],
  ]);
});

test("views of every second step are one motion too, two steps behind", () => {
  const interpolation = interpolate<number>({ tickRate: 20, viewRate: 10 });
  for (const tick of [2, 4, 6, 8]) interpolation.add(tick, tick, tick * STEP_MS);
  expect(interpolation.delayMs).toBe(2 * STEP_MS);
  const shown = [8, 8.5, 9, 9.5].map((step) => {
    const moment = interpolation.at(step * STEP_MS);
    return moment === null ? null : moment.from + (moment.to - moment.from) * moment.share;
  });
  expect(shown).toEqual([6, 6.5, 7, 7.5]);
});

test("of two views of one step the later one counts", () => {
  const interpolation = interpolate<string>({ tickRate: 20 });
  interpolation.add("a", 1, STEP_MS);
  interpolation.add("b", 2, 2 * STEP_MS);
  interpolation.add("c", 2, 2 * STEP_MS);
  expect(interpolation.at(2.5 * STEP_MS)).toEqual({ from: "a", to: "c", share: 0.5, tick: 1.5 });
});

test("a page that slept continues with the current views, as does a restarted shard", () => {
  const interpolation = interpolate<number>({ tickRate: 20 });
  expect(interpolation.at(0)).toBeNull();
  for (let tick = 1; tick <= 400; tick += 1) {
    interpolation.add(tick, tick, tick * STEP_MS);
    if (tick < 20) interpolation.at(tick * STEP_MS);
  }
  expect(interpolation.at(400 * STEP_MS)?.tick).toBe(399);
  interpolation.add(7, 3, 401 * STEP_MS);
  expect(interpolation.at(401 * STEP_MS)).toEqual({ from: 7, to: 7, share: 1, tick: 2 });
});

test("views that are not read are not kept forever", () => {
  const interpolation = interpolate<number>({ tickRate: 20 });
  for (let tick = 1; tick <= 1000; tick += 1) interpolation.add(tick, tick, tick * STEP_MS);
  expect(interpolation.at(10 * STEP_MS)?.from).toBe(1000 - 127);
});

test("after a pause of the server it soon is one step behind again", () => {
  const pauseMs = 5000;
  // The missed steps are not made up for.
  const views = Array.from({ length: 80 }, (_, index) => ({
    tick: index + 1,
    atMs: (index + 1) * STEP_MS + (index < 20 ? 0 : pauseMs),
  }));
  const seen = watch(views);
  for (const { tick, newest } of seen) expect(tick).toBeLessThanOrEqual(newest);
  const settled = seen.filter(({ newest }) => newest > 40 && newest < 80);
  expect(settled.length).toBeGreaterThan(100);
  for (const { nowMs, tick } of settled)
    expect((nowMs - pauseMs) / STEP_MS - tick).toBeWithin(0.8, 1.2);
});

test("it catches up gently once views are no longer late", () => {
  const views = Array.from({ length: 160 }, (_, index) => ({
    tick: index + 1,
    atMs: Math.max((index + 1) * STEP_MS, index < 5 ? 600 : 0),
  }));
  const seen = watch(views).filter(({ newest }) => newest < 160);
  const lagMs = seen.map(({ nowMs, tick }) => nowMs - tick * STEP_MS);
  expect(Math.max(...lagMs)).toBeGreaterThan(500);
  expect(lagMs.at(-1)).toBeCloseTo(STEP_MS, 0);
  for (const [index, lag] of lagMs.entries())
    expect((lagMs[index - 1] ?? lag) - lag).toBeLessThanOrEqual(FRAME_MS * 0.151);
});

test("after first views that were very late it jumps to the right position", () => {
  const interpolation = interpolate<number>({ tickRate: 20 });
  const lateMs = 5000;
  interpolation.add(1, 1, STEP_MS + lateMs);
  expect(interpolation.at(STEP_MS + lateMs)?.tick).toBe(0);
  for (let tick = 101; tick <= 140; tick += 1) {
    interpolation.add(tick, tick, tick * STEP_MS);
    interpolation.at(tick * STEP_MS);
  }
  expect(interpolation.at(140 * STEP_MS)?.tick).toBeCloseTo(139, 6);
});
