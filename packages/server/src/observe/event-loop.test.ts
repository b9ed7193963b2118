import { expect, test } from "bun:test";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { EventLoopDelay } from "./event-loop.ts";

test("the longest delay is retained for one to two minutes", () => {
  const platform = new ManualPlatform(0);
  let heldUpMs = 0;
  const loop = new EventLoopDelay({
    every: platform.every,
    monotonic: () => platform.monotonic() + heldUpMs,
  });
  loop.start();
  platform.advance(1_000);
  expect(loop.longest).toBe(0);
  heldUpMs += 2_000;
  platform.advance(500);
  expect(loop.longest).toBe(2);
  heldUpMs += 300;
  platform.advance(60_000);
  expect(loop.longest).toBe(2);
  platform.advance(60_000);
  expect(loop.longest).toBe(0);
  loop.stop();
  expect(platform.timers).toBe(0);
});
