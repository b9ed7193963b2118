import { expect, test } from "bun:test";
import { systemPlatform } from "./platform.ts";

test("work is done once after its time, and not at all when it is cancelled", async () => {
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

test("work is done again and again until it is cancelled", async () => {
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

test("time that is measured never goes back, and values of chance differ", () => {
  const start = systemPlatform.monotonic();
  expect(systemPlatform.monotonic()).toBeGreaterThanOrEqual(start);
  expect(systemPlatform.uuid()).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-/);
  expect(systemPlatform.uuid()).not.toBe(systemPlatform.uuid());
  const [one, other] = [new Uint8Array(16), new Uint8Array(16)];
  systemPlatform.random(one);
  systemPlatform.random(other);
  expect(one).not.toEqual(other);
});
