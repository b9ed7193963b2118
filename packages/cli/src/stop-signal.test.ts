import { expect, test } from "bun:test";
import { isStarted } from "./stop-signal.ts";

const never = new Promise<void>(() => undefined);

test("a start that is faster than the signal is complete", async () => {
  expect(await isStarted(Promise.resolve(), never)).toBe(true);
});

test("a signal ends a start that is still waiting", async () => {
  expect(await isStarted(never, Promise.resolve(), () => false)).toBe(false);
});

test("after a signal, a server that accepts requests completes its start", async () => {
  const { promise: start, resolve } = Promise.withResolvers<void>();
  let isOver = false;
  const started = isStarted(start, Promise.resolve(), () => true).finally(() => {
    isOver = true;
  });
  // All that is queued now runs before this promise.
  await new Promise((done) => setTimeout(done, 0));
  expect(isOver).toBe(false);
  resolve();
  expect(await started).toBe(true);
});

test("the error of a start is thrown, also after a signal", async () => {
  const failed = (): Promise<void> => Promise.reject(new Error("no database"));
  await expect(isStarted(failed(), never)).rejects.toThrow("no database");
  await expect(isStarted(failed(), Promise.resolve(), () => true)).rejects.toThrow("no database");
});
