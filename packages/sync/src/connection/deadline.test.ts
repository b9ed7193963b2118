import { expect, test } from "bun:test";
import { Deadline } from "./deadline.ts";
import { PylonClientError } from "./errors.ts";
import { systemPlatform } from "../platform/platform.ts";

/** Timers that fire when the test says so. */
function clock() {
  const timers = new Map<object, { readonly ms: number; readonly run: () => void }>();
  return {
    platform: {
      ...systemPlatform,
      after: (ms: number, run: () => void) => {
        const key = {};
        timers.set(key, { ms, run });
        return () => timers.delete(key);
      },
    },
    waits: () => [...timers.values()].map(({ ms }) => ms),
    fire: () => {
      for (const { run } of timers.values()) run();
    },
  };
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.catch((error: unknown) => (error instanceof PylonClientError ? error.code : error));
}

const never = new Promise<never>(() => undefined);

test("work that ends in time returns its result or error, and leaves no timer", async () => {
  for (const [work, expected] of [
    [Promise.resolve("done"), "done"],
    [Promise.reject(PylonClientError.ofClient("UNREACHABLE", "")), "UNREACHABLE"],
  ] as const) {
    const { platform, waits } = clock();
    const abort = new AbortController();
    const deadline = new Deadline(platform, undefined, abort);
    deadline.within(50);
    expect(await codeOf(deadline.hold(work))).toBe(expected);
    expect(waits()).toEqual([]);
    expect(abort.signal.aborted).toBe(false);
  }
});

test("only the last timeout counts; after it the work is aborted", async () => {
  const { platform, waits, fire } = clock();
  const abort = new AbortController();
  const deadline = new Deadline(platform, undefined, abort);
  const held = codeOf(deadline.hold(never));
  deadline.within(50);
  deadline.within(70);
  expect(waits()).toEqual([70]);
  fire();
  expect(await held).toBe("TIMED_OUT");
  expect(abort.signal.aborted).toBe(true);
});

test("work that is aborted early is unreachable, also before it begins", async () => {
  const given = new AbortController();
  const abort = new AbortController();
  const early = new Deadline(clock().platform, given.signal, abort);
  const held = codeOf(early.hold(never));
  given.abort();
  expect([await held, abort.signal.aborted]).toEqual(["UNREACHABLE", true]);
  const late = new Deadline(clock().platform, given.signal);
  expect(await codeOf(late.hold(never))).toBe("UNREACHABLE");
});
