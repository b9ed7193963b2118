import { expect, test } from "bun:test";
import { pause } from "./pause.ts";

const HOUR_MS = 3_600_000;

test("a pause takes its time", async () => {
  const started = performance.now();
  await pause(5, new AbortController().signal);
  // Timers may be a little early.
  expect(performance.now() - started).toBeGreaterThan(3);
});

test("an abort ends a pause, and prevents one", async () => {
  const abort = new AbortController();
  const waiting = pause(HOUR_MS, abort.signal);
  abort.abort();
  await waiting;
  await pause(HOUR_MS, abort.signal);
  expect(abort.signal.aborted).toBe(true);
});
