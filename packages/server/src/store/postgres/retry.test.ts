import { expect, test } from "bun:test";
import { DatabaseError } from "pg";
import { ManualPlatform, turn } from "../../testing/manual-platform.ts";
import { pause } from "./pause.ts";
import { Retry } from "./retry.ts";
import { RowBusyError, RowLocks } from "./row-locks.ts";

function databaseError(code: string): DatabaseError {
  const error = new DatabaseError(`failed with ${code}`, 1, "error");
  error.code = code;
  return error;
}
const CONFLICT = databaseError("40001");
const LOCK_TIMEOUT = databaseError("55P03");
const STALE = databaseError("26000");
const LOST = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

/**
 * Calls the retry after each failure, and advances the time until the work may run again or may
 * not.
 */
async function retried(
  errors: Iterable<unknown>,
  stepMs = 50,
): Promise<{ readonly attempts: number; readonly error: unknown; readonly elapsedMs: number }> {
  const platform = new ManualPlatform();
  const start = platform.now();
  const retry = new Retry(new RowLocks().hold(), undefined, platform);
  let attempts = 1;
  for (const error of errors) {
    let outcome: { readonly error: unknown } | "again" | null = null;
    void retry.after(error).then(
      () => (outcome = "again"),
      (thrown: unknown) => (outcome = { error: thrown }),
    );
    for (await turn(); outcome === null; await turn()) platform.advance(stepMs);
    // Narrowed by the callbacks above, which the compiler does not take into account.
    const ended = outcome as { readonly error: unknown } | "again";
    if (ended !== "again")
      return { attempts, error: ended.error, elapsedMs: platform.now() - start };
    attempts += 1;
  }
  return { attempts, error: null, elapsedMs: platform.now() - start };
}

function* forever(error: unknown): Generator<unknown> {
  for (;;) yield error;
}

test("conflicting work runs again, up to a maximum number of attempts", async () => {
  const conflicts = await retried(forever(CONFLICT));
  expect(conflicts).toMatchObject({ attempts: 12, error: { code: "OVERLOADED" } });
  const stale = await retried(forever(STALE));
  expect(stale.attempts).toBe(12);
  const few = await retried([CONFLICT, STALE, CONFLICT]);
  expect(few).toMatchObject({ attempts: 4, error: null });
});

test("an unavailable database is waited for, for several seconds at most", async () => {
  const { error, elapsedMs, attempts } = await retried(forever(LOST));
  expect(error).toMatchObject({ code: "OVERLOADED", message: "The database can't be reached." });
  expect(elapsedMs).toBeGreaterThan(5_000);
  expect(elapsedMs).toBeLessThan(6_000);
  expect(attempts).toBeGreaterThan(5);
});

test("a locked row is waited for longer than a frozen replica can lock it", async () => {
  const { error, elapsedMs } = await retried(forever(LOCK_TIMEOUT));
  expect(error).toMatchObject({ message: expect.stringContaining("the same row") });
  expect(elapsedMs).toBeGreaterThan(15_000);
  expect(elapsedMs).toBeLessThan(16_000);
});

test("an error that is not a conflict is not retried", async () => {
  const bug = new TypeError("a bug");
  expect(await retried([bug])).toEqual({ attempts: 1, error: bug, elapsedMs: 0 });
});

test("after a lock timeout the next attempt uses a connection of another share", async () => {
  const platform = new ManualPlatform();
  const retry = new Retry(new RowLocks().hold(), undefined, platform);
  expect(retry.share).toBe("write");
  const waiting = retry.after(LOCK_TIMEOUT);
  expect(retry.share).toBe("blocked");
  platform.advance(400);
  await waiting;
  const other = retry.after(CONFLICT);
  expect(retry.share).toBe("write");
  platform.advance(400);
  await other;
});

test("conflicting work waits for the conflict's row, and for its own earlier rows", async () => {
  const platform = new ManualPlatform();
  const locks = new RowLocks();
  const [holder, rows] = [locks.hold(), locks.hold()];
  holder.claim("busy");
  rows.claim("own");
  let isReady = false;
  const retry = new Retry(rows, undefined, platform);
  const waiting = retry.after(new RowBusyError("busy")).then(() => (isReady = true));
  await turn();
  expect(isReady).toBe(false);
  holder.release();
  await waiting;
  expect([...rows.keys].toSorted()).toEqual(["busy", "own"]);
  expect(platform.timers).toBe(0);

  // The wait for work that never ends is limited.
  const late = new Retry(locks.hold(), undefined, platform);
  const refused = late.after(new RowBusyError("busy"));
  platform.advance(15_000);
  await expect(refused).rejects.toMatchObject({ code: "OVERLOADED" });
});

test("pauses grow up to a maximum, and differ between concurrent retries", async () => {
  const waits = (fill: number): number[] => {
    const asked: number[] = [];
    const platform = new ManualPlatform();
    const spied = {
      now: platform.now,
      monotonic: platform.monotonic,
      every: platform.every,
      soon: platform.soon,
      uuid: platform.uuid,
      random: (bytes: Uint8Array) => void bytes.fill(fill),
      after: (ms: number, work: () => void) => (asked.push(ms), platform.after(ms, work)),
    };
    for (let attempt = 0; attempt < 8; attempt += 1) void pause(spied, attempt);
    return asked;
  };
  expect(waits(0)).toEqual([10, 25, 50, 100, 200, 200, 200, 200]);
  for (const [index, longest] of waits(255).entries()) {
    expect(longest).toBeLessThan([20, 50, 100, 200, 400][Math.min(index, 4)] ?? 0);
    expect(longest).toBeGreaterThan(waits(0)[index] ?? Infinity);
  }
});
