import { expect, test } from "bun:test";
import type { Timer } from "../platform.ts";
import { timeoutSignal } from "./timeout-signal.ts";

test("a signal is aborted when its time is up, and keeps no process alive", () => {
  let work = (): void => undefined;
  let held = true;
  const timer: Timer = {
    cancel: () => undefined,
    unref: () => {
      held = false;
      return timer;
    },
  };
  const asked: number[] = [];
  const after = (ms: number, due: () => void): Timer => {
    asked.push(ms);
    work = due;
    return timer;
  };
  const signal = timeoutSignal({ after }, 250);
  expect([signal.aborted, held, asked]).toEqual([false, false, [250]]);
  work();
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toMatchObject({ name: "TimeoutError" });
});
