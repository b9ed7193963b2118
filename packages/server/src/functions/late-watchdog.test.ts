import { expect, test } from "bun:test";
import { systemPlatform } from "../platform.ts";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { LateWatchdog } from "./late-watchdog.ts";

test("it starts when it is awaited, and only once", async () => {
  const platform = new ManualPlatform();
  const watchdog = new LateWatchdog({ limitMs: 60_000, platform });
  watchdog.start();
  expect(platform.timers).toBe(1);
  await watchdog.ready();
  // Its beat, in place of the late start.
  expect(platform.timers).toBe(1);
  await watchdog.ready();
  platform.advance(5_000);
  expect(platform.timers).toBe(1);
  watchdog.stop();
  expect(platform.timers).toBe(0);
});

test.each([
  // The default time limit of a call, and its grace.
  [35_000, 1_000],
  [16_000, 500],
  [1_000, 250],
])("with a limit of %d ms the thread reports every %d ms that it is not blocked", (limitMs, ms) => {
  const platform = new ManualPlatform();
  const waits: number[] = [];
  const watchdog = new LateWatchdog({
    limitMs,
    platform: {
      ...systemPlatform,
      every: (everyMs, work) => {
        waits.push(everyMs);
        return platform.every(everyMs, work);
      },
    },
  });
  void watchdog.ready();
  watchdog.stop();
  expect(waits).toEqual([ms]);
});
