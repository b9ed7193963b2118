import { MAX_WAITING_READS_PER_CALLER, PylonError } from "@pylonsync/protocol";
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualPlatform } from "../../testing/manual-platform.ts";
import type { Lease } from "./lease.ts";
import { ReaderPool } from "./reader-pool.ts";

const TIMEOUT_MS = 5_000;
const ENDLESS = {
  text: "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
  params: [],
};
const ONE = { text: "SELECT ? AS n", params: [1] };

let dir: string;
let platform: ManualPlatform;
let pool: ReaderPool;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "pylon-readers-"));
  const path = join(dir, "data.db");
  new Database(path).close();
  platform = new ManualPlatform();
  pool = new ReaderPool(path, platform);
});
afterEach(async () => {
  await pool.close();
  rmSync(dir, { recursive: true, force: true });
});

const limitsOf = (caller: string) => ({ caller, timeoutMs: TIMEOUT_MS });
const lease = (caller: string): Promise<Lease> => pool.lease(limitsOf(caller));

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const outcome: unknown = await work.catch((error: unknown) => error);
  return outcome instanceof PylonError ? outcome.code : outcome;
}

/** Leases as many readers as a caller may have, and leaves one of its reads waiting. */
async function takeAll(caller: string): Promise<Lease[]> {
  const leases = [await lease(caller)];
  for (;;) {
    const next = lease(caller);
    next.catch(() => undefined);
    if (pool.counts.waiting > 0) {
      // A reader may be starting for it: another caller's read would run first.
      const other = await lease("probe");
      other.release();
      if (pool.counts.waiting > 0) return leases;
    }
    leases.push(await next);
  }
}

/**
 * Lets a read begin. Its result, which comes from another process, can't arrive in the meantime.
 */
async function begun<T>(read: () => Promise<T>): Promise<{ readonly answer: Promise<T> }> {
  const before = platform.timers;
  const answer = read();
  answer.catch(() => undefined);
  while (platform.timers === before) await Promise.resolve();
  return { answer };
}

/** Makes a caller count as slow. */
async function makeSlow(caller: string): Promise<void> {
  const slow = await lease(caller);
  const { answer } = await begun(() => slow.run(ONE));
  platform.advance(2_000);
  await answer;
  slow.release();
}

test("a statement is run, and its error is that of the database", async () => {
  expect((await pool.run(ONE, limitsOf("ann"))).rows).toEqual([{ n: 1 }]);
  const broken = pool.run({ text: "SELECT x FROM nothing", params: [] }, limitsOf("ann"));
  expect(String(await broken.catch((error: unknown) => error))).toContain("nothing");
});

test("no caller has all readers, and waiting reads are served when one is released", async () => {
  const leases = await takeAll("ann");
  expect(leases.length).toBeGreaterThanOrEqual(2);
  const other = await lease("bob");
  expect(pool.counts.waiting).toBe(1);
  leases[0]?.release();
  expect(pool.counts.waiting).toBe(0);
  other.release();
});

test("callers with slow reads leave one reader to all others, for a minute", async () => {
  await makeSlow("ann");
  await makeSlow("bob");
  const leases = await takeAll("ann");
  const waiting = lease("bob");
  const quick = await lease("cid");
  expect(pool.counts.waiting).toBe(2);
  quick.release();
  expect(pool.counts.waiting).toBe(2);
  for (const one of leases) one.release();
  (await waiting).release();
  expect(pool.counts.waiting).toBe(0);

  platform.advance(60_000);
  await takeAll("ann");
  (await lease("bob")).release();
});

test("a read that reaches its deadline ends with its process, and the next one runs", async () => {
  const held = await lease("ann");
  const { answer } = await begun(() => held.run(ENDLESS));
  platform.advance(TIMEOUT_MS);
  expect(await codeOf(answer)).toBe("QUERY_TIMEOUT");
  expect(pool.counts.timedOut).toBe(1);
  expect(await codeOf(held.run(ONE))).toBe("QUERY_TIMEOUT");
  held.release();
  expect((await pool.run(ONE, limitsOf("ann"))).rows).toEqual([{ n: 1 }]);
});

test("a read that is running when its lease is released gives no result to another", async () => {
  const held = await lease("ann");
  const endless = held.run(ENDLESS);
  held.release();
  expect(String(await codeOf(endless))).toContain("has been released");
  expect((await pool.run(ONE, limitsOf("bob"))).rows).toEqual([{ n: 1 }]);
});

test("a read waits at most as long as it may run, and is then rejected", async () => {
  const leases = await takeAll("ann");
  const waiting = lease("ann");
  expect(pool.counts.waiting).toBe(2);
  platform.advance(TIMEOUT_MS);
  expect(await codeOf(waiting)).toBe("OVERLOADED");
  expect(pool.counts).toMatchObject({ waiting: 0, refused: 2 });
  for (const one of leases) one.release();
});

test("a caller's waiting reads are limited, and do not block those of others", async () => {
  await takeAll("ann");
  while (pool.counts.waiting < MAX_WAITING_READS_PER_CALLER) lease("ann").catch(() => undefined);
  expect(await codeOf(lease("ann"))).toBe("OVERLOADED");
  (await lease("bob")).release();
});

test("a closed pool rejects running, waiting and later reads", async () => {
  const [held] = await takeAll("ann");
  const waiting = lease("ann");
  const running = held?.run(ENDLESS) ?? expect.unreachable("there is no reader");
  const outcomes = Promise.all([codeOf(running), codeOf(waiting)]);
  await pool.close();
  expect(await outcomes).toEqual(["OVERLOADED", "OVERLOADED"]);
  expect(await codeOf(lease("bob"))).toBe("OVERLOADED");
});
