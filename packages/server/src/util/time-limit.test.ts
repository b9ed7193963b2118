import { expect, test } from "bun:test";
import type { Platform, Timer } from "../platform.ts";
import { settledWithin, withTimeout } from "./time-limit.ts";

/** One timer, which expires when the test says so. */
class OneTimer {
  #work: (() => void) | null = null;
  readonly asked: number[] = [];
  readonly platform: Pick<Platform, "after"> = {
    after: (ms, work) => {
      this.asked.push(ms);
      this.#work = work;
      const timer: Timer = {
        cancel: () => {
          this.#work = null;
        },
        unref: () => timer,
      };
      return timer;
    },
  };
  get isSet(): boolean {
    return this.#work !== null;
  }
  end(): void {
    this.#work?.();
  }
}

const never = new Promise<never>(() => undefined);
const late = (): Error => new Error("late");

test("work that settles in time is returned, and its timer is cancelled", async () => {
  const timer = new OneTimer();
  expect(await settledWithin(timer.platform, Promise.resolve(), 7)).toBe(true);
  expect(await withTimeout(timer.platform, async () => "answer", 8, late)).toBe("answer");
  expect(timer.asked).toEqual([7, 8]);
  expect(timer.isSet).toBe(false);
});

test("work that fails in time fails, and its timer is cancelled", async () => {
  const timer = new OneTimer();
  const fail = (): Promise<never> => Promise.reject(new Error("failed"));
  expect(settledWithin(timer.platform, fail(), 7)).rejects.toThrow("failed");
  expect(withTimeout(timer.platform, fail, 8, late)).rejects.toThrow("failed");
  await Promise.resolve();
  await Bun.sleep(0);
  expect(timer.isSet).toBe(false);
});

test("work that takes longer is abandoned", async () => {
  const timer = new OneTimer();
  const settled = settledWithin(timer.platform, never, 7);
  timer.end();
  expect(await settled).toBe(false);
  const answer = withTimeout(timer.platform, () => never, 8, late);
  timer.end();
  expect(answer).rejects.toThrow("late");
  await answer.catch(() => undefined);
  expect(timer.isSet).toBe(false);
});
