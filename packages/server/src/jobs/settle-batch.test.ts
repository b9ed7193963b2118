import { expect, test } from "bun:test";
import fc from "fast-check";
import { TransactionScheduler, type JobQueue } from "../functions/scheduler.ts";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { scratchStore } from "../store/testing/scratch-store.ts";
import { JobTable } from "./job-table.ts";
import type { LeasedJob } from "./job.ts";

type Fate = "completed" | "dead" | "cancelled" | "retried";
const FATES: readonly Fate[] = ["completed", "dead", "cancelled", "retried"];

/** A table, and the scheduler of a mutation. */
function tableOf(scratch: ReturnType<typeof scratchStore>) {
  const platform = new ManualPlatform();
  const { store } = scratch;
  const table = new JobTable(store, platform);
  const queue: JobQueue = {
    newId: () => table.newId(),
    add: (tx, call) => table.add(tx, call),
    now: platform.now,
    addMany: (tx, jobs) => table.addMany(tx, jobs),
    cancel: (tx, id) => table.cancel(tx, id),
    wake: () => undefined,
  };
  const runBatch = (count: number): Promise<string> =>
    store.transact(async (tx) => {
      const scheduler = new TransactionScheduler(queue, tx);
      const calls = Array.from({ length: count }, () => ({
        name: "part",
        options: { maxRetries: 0 },
      }));
      const id = await scheduler.runBatch(calls, { name: "after" });
      await scheduler.close();
      return id;
    });
  return { store, table, platform, runBatch };
}

test("the job after a batch runs when all have ended, and knows how many failed", async () => {
  await using scratch = scratchStore();
  const { store, table, platform, runBatch } = tableOf(scratch);
  const end = async (job: LeasedJob, fate: Fate): Promise<void> => {
    if (fate === "cancelled") {
      await store.transact((tx) => table.cancel(tx, job.id));
      return;
    }
    const kind = fate === "completed" ? ("completed" as const) : ("failed" as const);
    await table.finishAll([{ job, outcome: { kind, error: "no", isFinal: true } }]);
    if (fate === "retried") await store.transact((tx) => table.revive(tx, job.id));
  };
  const fates = fc.array(fc.constantFrom(...FATES), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fates, async (given) => {
      const id = await runBatch(given.length);
      let failed = 0;
      let queue = [...given];
      while (queue.length > 0) {
        const jobs = await table.take(queue.length, () => 60_000);
        expect(jobs.map(({ name }) => name)).toEqual(queue.map(() => "part"));
        for (const [index, job] of jobs.entries()) {
          expect(await table.settleBatch(id)).toBe(false);
          const fate = queue[index] ?? "completed";
          await end(job, fate);
          if (fate === "dead" || fate === "cancelled") failed += 1;
        }
        // Jobs that were given another attempt succeed then.
        queue = queue.filter((fate) => fate === "retried").map(() => "completed");
      }
      expect(await table.settleBatch(id)).toBe(true);
      // A later check changes nothing.
      expect(await table.settleBatch(id)).toBe(false);
      const [after, ...others] = await table.take(5, () => 60_000);
      const total = given.length;
      expect(others).toEqual([]);
      expect(after).toMatchObject({ id, batch: { total, failed, completed: total - failed } });
      if (after !== undefined) await end(after, "completed");
      platform.advance(1);
    }),
    { numRuns: 40 },
  );
});

test("a batch whose end was missed is checked later", async () => {
  await using scratch = scratchStore();
  const { store, table, platform, runBatch } = tableOf(scratch);
  const id = await runBatch(1);
  const [part] = await table.take(1, () => 3_600_000);
  // A check while it runs postpones the next one.
  platform.advance(10_000);
  expect(await table.settleDue()).toBe(1);
  expect((await table.get(id))?.dueAt).toBe(platform.now() + 10_000);
  if (part !== undefined) await table.finishAll([{ job: part, outcome: { kind: "completed" } }]);
  expect(await table.take(1, () => 60_000)).toEqual([]);
  platform.advance(10_000);
  await table.settleDue();
  expect((await table.take(1, () => 60_000)).map((job) => job.id)).toEqual([id]);
  expect(await table.forget("completed", platform.now(), true)).toBe(1);
  await store.transact((tx) => table.cancel(tx, id));
});

test("a job after a batch that was cancelled and revived waits as before", async () => {
  await using scratch = scratchStore();
  const { store, table, platform, runBatch } = tableOf(scratch);
  const id = await runBatch(1);
  await store.transact((tx) => table.cancel(tx, id));
  expect(await table.settleBatch(id)).toBe(false);
  await store.transact((tx) => table.revive(tx, id));
  await table.settleDue();
  const [part, ...others] = await table.take(2, () => 60_000);
  expect([part?.name, others.length]).toEqual(["part", 0]);
  if (part !== undefined) await table.finishAll([{ job: part, outcome: { kind: "completed" } }]);
  platform.advance(10_000);
  await table.settleDue();
  expect((await table.take(1, () => 60_000)).map((job) => job.id)).toEqual([id]);
});

test("a cancelled job is kept for the count of its batch", async () => {
  await using scratch = scratchStore();
  const { store, table, platform, runBatch } = tableOf(scratch);
  const id = await runBatch(2);
  const [part] = await table.take(1, () => 60_000);
  await store.transact((tx) => table.cancel(tx, part?.id ?? ""));
  expect(await table.forget("cancelled", platform.now())).toBe(0);
  const [other] = await table.take(1, () => 60_000);
  if (other !== undefined) await table.finishAll([{ job: other, outcome: { kind: "completed" } }]);
  await table.settleBatch(id);
  expect((await table.get(id))?.batch).toEqual({ total: 2, completed: 1, failed: 1 });
});
