import { expect, test } from "bun:test";
import { KeyLock } from "./key-lock.ts";

test("work on one key runs in the order of the calls; other keys are not blocked", async () => {
  const lock = new KeyLock();
  const events: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = lock.run("a", async () => {
    events.push("a1 begins");
    await gate.promise;
    events.push("a1 ends");
  });
  const second = lock.run("a", async () => {
    events.push("a2");
    return 2;
  });
  await lock.run("b", async () => {
    events.push("b");
  });
  expect(events).toEqual(["a1 begins", "b"]);
  gate.resolve();
  await first;
  expect(await second).toBe(2);
  expect(events).toEqual(["a1 begins", "b", "a1 ends", "a2"]);
});

test("failing work unblocks the next", async () => {
  const lock = new KeyLock();
  const failed = lock.run("a", () => Promise.reject(new Error("no")));
  const next = lock.run("a", () => Promise.resolve("yes"));
  await expect(failed).rejects.toThrow("no");
  expect(await next).toBe("yes");
});
