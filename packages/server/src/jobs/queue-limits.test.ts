import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import type { ScheduledCall } from "../functions/scheduler.ts";
import { systemPlatform, type Platform } from "../platform.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { JobTable } from "./job-table.ts";
import type { LeasedJob } from "./job.ts";
import type { QueueSettings } from "./queue-limits.ts";

// Compares the limits of queues with a naive model, with several replicas that share them.

const LEASE_MS = 1_000_000;
const USES_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const QUEUES: QueueSettings = {
  one: { concurrency: 2 },
  slow: { rate: { max: 3, perSeconds: 10 } },
  keyed: { concurrency: 4, perKey: { concurrency: 1 } },
};
const dir = mkdtempSync(join(tmpdir(), "pylon-queues-"));
let store: Store;
let nowMs = Date.parse("2026-03-01T12:00:00Z");
const platform: Platform = { ...systemPlatform, now: () => nowMs };

beforeAll(async () => {
  store = await openStore(
    USES_POSTGRES
      ? { kind: "postgres", url: await createDatabase(sharedPostgresUrl()), poolMax: 4, ca: null }
      : { kind: "sqlite", path: join(dir, "queues.db"), isTemporary: true },
    { startTimeoutMs: 0, onState: () => undefined },
  );
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

async function replicas(count: number, queues = QUEUES): Promise<JobTable[]> {
  for (const name of ["_pylon_jobs", "_pylon_queues"])
    await store.transact((tx) => tx.deleteWhere(name, { kind: "literal", value: true }));
  return Array.from({ length: count }, () => {
    const table = new JobTable(store, platform);
    table.declareQueues(queues);
    return table;
  });
}

function add(table: JobTable, queue: string, key: string | null = null): Promise<string> {
  const call: ScheduledCall = {
    name: "work",
    args: "{}",
    queue,
    priority: "normal",
    dueAt: nowMs,
    maxAttempts: 3,
    timeoutMs: null,
    key,
    dedupeKey: null,
  };
  return store.transact((tx) => table.add(tx, call));
}

const end = (table: JobTable, job: LeasedJob): Promise<void> =>
  table.finishAll([{ job, outcome: { kind: "completed" } }]);

interface Waiting {
  readonly queue: string;
  readonly key: string | null;
}

/** Returns the jobs that may be taken, by counting. */
class Model {
  readonly waiting: Waiting[] = [];
  readonly running: Waiting[] = [];
  readonly starts: { readonly queue: string; readonly at: number }[] = [];

  takeable(): number {
    return ["one", "slow", "keyed", "free"].reduce((sum, queue) => sum + this.#ofQueue(queue), 0);
  }

  start(queue: string, key: string | null): void {
    const index = this.waiting.findIndex((one) => one.queue === queue && one.key === key);
    expect(index).toBeGreaterThanOrEqual(0);
    this.running.push(...this.waiting.splice(index, 1));
    this.starts.push({ queue, at: nowMs });
  }

  #ofQueue(queue: string): number {
    const { concurrency = Infinity, rate, perKey } = QUEUES[queue] ?? {};
    const count = (of: readonly Waiting[], key?: string | null): number =>
      of.filter((one) => one.queue === queue && (key === undefined || one.key === key)).length;
    const since = nowMs - (rate?.perSeconds ?? 0) * 1000;
    const started = this.starts.filter((one) => one.queue === queue && one.at > since).length;
    const keys = [...new Set(this.waiting.map(({ key }) => key))];
    const ofKeys = keys.reduce(
      (sum, key) =>
        sum +
        Math.max(
          0,
          Math.min(
            count(this.waiting, key),
            (perKey?.concurrency ?? Infinity) - count(this.running, key),
          ),
        ),
      0,
    );
    return Math.max(
      0,
      Math.min(ofKeys, concurrency - count(this.running), (rate?.max ?? Infinity) - started),
    );
  }
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("add" as const),
        queue: fc.constantFrom("one", "slow", "keyed", "free"),
        key: fc.constantFrom(null, "a", "b", "c"),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("take" as const),
        replica: fc.nat(1),
        count: fc.integer({ min: 1, max: 6 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("end" as const), at: fc.nat(20) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("wait" as const),
        ms: fc.constantFrom(1, 4_000, 9_999),
      }),
    },
  ),
  { minLength: 10, maxLength: 50, size: "max" },
);

test("each take is as large as the limits allow, whichever replica makes it", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const tables = await replicas(2);
      const [first] = tables;
      if (first === undefined) return;
      const model = new Model();
      const leased: LeasedJob[] = [];
      const keys = new Map<string, string | null>();
      for (const step of history) {
        if (step.kind === "wait") nowMs += step.ms;
        if (step.kind === "add") {
          keys.set(await add(first, step.queue, step.key), step.key);
          model.waiting.push({ queue: step.queue, key: step.key });
        }
        if (step.kind === "take") {
          const wanted = Math.min(step.count, model.takeable());
          const taken = await (tables[step.replica] ?? first).take(step.count, () => LEASE_MS);
          expect(taken.length).toBe(wanted);
          for (const job of taken) model.start(job.queue, keys.get(job.id) ?? null);
          leased.push(...taken);
        }
        const [job] = step.kind === "end" ? leased.splice(step.at % (leased.length || 1), 1) : [];
        if (job === undefined) continue;
        await end(first, job);
        const key = keys.get(job.id) ?? null;
        const at = model.running.findIndex((one) => one.queue === job.queue && one.key === key);
        model.running.splice(at, 1);
      }
    }),
    { numRuns: USES_POSTGRES ? 15 : 100 },
  );
}, 120_000);

test("replicas that take at the same time hold a limit together", async () => {
  const tables = await replicas(3);
  const [first] = tables;
  if (first === undefined) return;
  for (let index = 0; index < 30; index += 1) await add(first, "one");
  let done = 0;
  while (done < 30) {
    const rounds = await Promise.all(tables.map((table) => table.take(5, () => LEASE_MS)));
    const taken = rounds.flat();
    expect(taken.length).toBeLessThanOrEqual(2);
    expect((await first.counts()).running).toBe(taken.length);
    for (const job of taken) await end(first, job);
    done += taken.length;
  }
});

test("jobs that a rate holds back are looked for when it allows them, and not before", async () => {
  const [table] = await replicas(1);
  if (table === undefined) return;
  const began = nowMs;
  for (let index = 0; index < 5; index += 1) await add(table, "slow");
  expect(await table.take(5, () => LEASE_MS)).toHaveLength(3);
  nowMs += 4_000;
  expect(await table.take(5, () => LEASE_MS)).toHaveLength(0);
  expect(await table.nextDue()).toBe(began + 10_000);
  nowMs = began + 10_000;
  expect(await table.take(5, () => LEASE_MS)).toHaveLength(2);
});

test("a full queue with a thousand keys delays no other queue", async () => {
  const [table] = await replicas(1);
  if (table === undefined) return;
  await store.transact(async (tx) => {
    for (let index = 0; index < 200; index += 1)
      await table.add(tx, {
        name: "work",
        args: "{}",
        queue: "keyed",
        priority: "normal",
        dueAt: nowMs,
        maxAttempts: 3,
        timeoutMs: null,
        key: `key ${index}`,
        dedupeKey: null,
      });
  });
  expect(await table.take(10, () => LEASE_MS)).toHaveLength(4);
  await add(table, "zebra");
  expect((await table.take(10, () => LEASE_MS)).map(({ queue }) => queue)).toEqual(["zebra"]);
});
