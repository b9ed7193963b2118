import { expect, test } from "bun:test";
import { randomFraction, sleep, systemPlatform } from "./platform.ts";

test("work runs once after its time, and not at all when it is cancelled", async () => {
  const done: string[] = [];
  systemPlatform.after(1, () => done.push("cancelled")).cancel();
  await new Promise<void>((resolve) =>
    systemPlatform.after(2, () => {
      done.push("once");
      resolve();
    }),
  );
  expect(done).toEqual(["once"]);
});

test("work runs soon: after this turn, in order, before any timer", async () => {
  const done: string[] = [];
  systemPlatform.soon(() => done.push("one"));
  systemPlatform.soon(() => done.push("other"));
  done.push("now");
  await new Promise<void>((resolve) => systemPlatform.soon(resolve));
  expect(done).toEqual(["now", "one", "other"]);
});

test("a sleep ends when its timer does, and a fraction is random", async () => {
  let wake = (): void => undefined;
  const asked: number[] = [];
  const sleeping = sleep(
    {
      after: (ms, work) => {
        asked.push(ms);
        wake = work;
        return systemPlatform.after(0, () => undefined);
      },
    },
    250,
  ).then(() => asked.push(-1));
  expect(asked).toEqual([250]);
  wake();
  await sleeping;
  expect(asked).toEqual([250, -1]);
  expect(randomFraction({ random: (bytes) => bytes.fill(0) })).toBe(0);
  expect(randomFraction({ random: (bytes) => bytes.fill(255) })).toBe(1 - 2 ** -32);
});

test("work runs repeatedly until it is cancelled", async () => {
  let times = 0;
  await new Promise<void>((resolve) => {
    const timer = systemPlatform.every(1, () => {
      times += 1;
      if (times < 3) return;
      timer.cancel();
      resolve();
    });
  });
  await new Promise<void>((resolve) => systemPlatform.after(5, resolve));
  expect(times).toBe(3);
});

test("monotonic time never goes back, and random values differ", () => {
  const start = systemPlatform.monotonic();
  expect(systemPlatform.monotonic()).toBeGreaterThanOrEqual(start);
  expect(systemPlatform.uuid()).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-/);
  expect(systemPlatform.uuid()).not.toBe(systemPlatform.uuid());
  const [one, other] = [new Uint8Array(16), new Uint8Array(16)];
  systemPlatform.random(one);
  systemPlatform.random(other);
  expect(one).not.toEqual(other);
});
