import { expect, test } from "bun:test";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { Deadlines, type Deadline } from "./deadline.ts";

const LIMIT_MS = 1_000;

function start(outer?: AbortSignal): { platform: ManualPlatform; deadline: Deadline } {
  const platform = new ManualPlatform();
  return { platform, deadline: new Deadlines(platform).start("work", LIMIT_MS, outer) };
}

test("a deadline ends a call once, at its time, with its name in the reason", () => {
  const { platform, deadline } = start();
  let ends = 0;
  deadline.addEventListener("abort", () => (ends += 1));
  platform.advance(LIMIT_MS - 1);
  expect([deadline.aborted, deadline.reason, ends]).toEqual([false, undefined, 0]);
  deadline.throwIfAborted();
  platform.advance(1);
  platform.advance(10 * LIMIT_MS);
  expect([deadline.aborted, ends]).toEqual([true, 1]);
  expect(deadline.reason).toMatchObject({
    code: "FN_TIMEOUT",
    message: '"work" took longer than 1 s.',
  });
  expect(() => deadline.throwIfAborted()).toThrow("took longer");
});

test("the signal is the same one, and has the reason, before and after the end", () => {
  for (const isCreatedBefore of [true, false]) {
    const { platform, deadline } = start();
    const before = isCreatedBefore ? deadline.signal : null;
    platform.advance(LIMIT_MS);
    expect([deadline.signal.aborted, deadline.signal.reason]).toEqual([true, deadline.reason]);
    expect(deadline.signal).toBe(before ?? deadline.signal);
  }
});

test("a cleared deadline ends nothing, neither by its time nor by its client", () => {
  const client = new AbortController();
  const { platform, deadline } = start(client.signal);
  deadline.clear();
  client.abort(new Error("gone"));
  platform.advance(2 * LIMIT_MS);
  expect(deadline.aborted).toBe(false);
});

test("a client that disconnects ends the call, also one that did so before", () => {
  const reason = new Error("gone");
  for (const isGoneBefore of [true, false]) {
    const client = new AbortController();
    if (isGoneBefore) client.abort(reason);
    const { platform, deadline } = start(client.signal);
    if (!isGoneBefore) client.abort(reason);
    platform.advance(LIMIT_MS);
    expect([deadline.aborted, deadline.reason]).toEqual([true, reason]);
  }
});

test("a listener that was removed, or is added after the end, is not called", () => {
  const { platform, deadline } = start();
  const called: string[] = [];
  const removed = (): void => void called.push("removed");
  deadline.addEventListener("abort", removed);
  deadline.addEventListener("abort", () => void called.push("kept"));
  deadline.removeEventListener("abort", removed);
  platform.advance(LIMIT_MS);
  deadline.addEventListener("abort", () => void called.push("late"));
  expect(called).toEqual(["kept"]);
});

test("a race returns a value as it is, a promise's result, or throws the reason", async () => {
  const { platform, deadline } = start();
  expect(deadline.race(1)).toBe(1);
  expect(await deadline.race(Promise.resolve(2))).toBe(2);
  const failure = new Error("failed");
  expect(await caught(deadline.race(Promise.reject(failure)))).toBe(failure);
  const never = deadline.race(new Promise(() => undefined));
  platform.advance(LIMIT_MS);
  expect(await caught(never)).toBe(deadline.reason);
  // A rejection of work whose result is no longer needed is not unhandled.
  expect(() => deadline.race(3)).toThrow("took longer");
  expect(() => deadline.race(Promise.reject(failure))).toThrow("took longer");
});

function caught(work: unknown): Promise<unknown> {
  return Promise.resolve(work).catch((error: unknown) => error);
}
