import { expect, test } from "bun:test";
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
