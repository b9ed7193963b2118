import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import type { ScheduledCall } from "../functions/scheduler.ts";
import { systemPlatform, type Platform } from "../platform.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { laneOf } from "./job-row.ts";
import { JobTable } from "./job-table.ts";
import type { JobStatus, LeasedJob } from "./job.ts";

// Compares the queue with a naive model: random histories of several runners, some of which die.

const LEASE_MS = 30_000;
const USES_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const RUNS = Number(process.env["PYLON_TEST_RUNS"] ?? (USES_POSTGRES ? 50 : 1_000));

/** In memory where possible: thousands of commits would wait for the disk. */
const dir = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "pylon-jobs-"));
let store: Store;
let nowMs = Date.parse("2026-03-01T12:00:00Z");
const platform: Platform = {
  ...systemPlatform,
  now: () => nowMs,
  // No delay is shortened randomly.
  random: (bytes) => {
    crypto.getRandomValues(bytes);
    if (bytes.length === 1) bytes[0] = 255;
  },
};

beforeAll(async () => {
  store = await openStore(
    USES_POSTGRES
      ? { kind: "postgres", url: await createDatabase(sharedPostgresUrl()), poolMax: 4, ca: null }
      : { kind: "sqlite", path: join(dir, "jobs.db"), isTemporary: true },
    { startTimeoutMs: 0, onState: () => undefined },
  );
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

function callOf(given: Partial<ScheduledCall>): ScheduledCall {
  return {
    name: "work",
    args: "{}",
    queue: "q",
    priority: "normal",
    dueAt: nowMs,
    maxAttempts: 3,
    timeoutMs: null,
    key: null,
    dedupeKey: null,
    ...given,
  };
}

const add = (table: JobTable, given: Partial<ScheduledCall> = {}): Promise<string> =>
  store.transact((tx) => table.add(tx, callOf(given)));

async function emptied(): Promise<JobTable> {
  await store.transact((tx) => tx.deleteWhere("_pylon_jobs", { kind: "literal", value: true }));
  return new JobTable(store, platform);
}

/** A job in the model. */
interface Known {
  status: JobStatus;
  readonly lane: string;
  readonly priority: number;
  readonly maxAttempts: number;
  attempts: number;
  /** When it is ready, or when its lease expires. */
  dueAt: number;
  /** The lease of its holder; that of a dead runner is absent. */
  leased: LeasedJob | null;
  /** The leases of earlier attempts, whose runners may return late. */
  readonly old: LeasedJob[];
}

type Step =
  | {
      readonly kind: "add";
      readonly queue: string;
      readonly key: string | null;
      readonly priority: number;
      readonly delayMs: number;
      readonly maxAttempts: number;
      readonly dedupeKey: string | null;
    }
  | { readonly kind: "restart" }
  | { readonly kind: "take"; readonly count: number }
  | { readonly kind: "wait"; readonly ms: number }
  | {
      readonly kind:
        | "complete"
        | "fail"
        | "late"
        | "die"
        | "release"
        | "renew"
        | "cancel"
        | "revive";
      readonly at: number;
    };

const MAX_STEPS = 60;
const OVER: ReadonlySet<JobStatus> = new Set(["completed", "dead", "cancelled"]);
const PRIORITY_NAMES = ["low", "normal", "high", "critical"] as const;

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("add" as const),
        queue: fc.constantFrom("mail", "mail.slow", "default"),
        key: fc.constantFrom(null, "tenant a", "tenant b"),
        priority: fc.nat(3),
        delayMs: fc.constantFrom(0, 0, 1_000, 40_000),
        maxAttempts: fc.integer({ min: 1, max: 3 }),
        dedupeKey: fc.constantFrom(null, null, null, "once"),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("take" as const),
        count: fc.integer({ min: 1, max: 5 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("wait" as const),
        ms: fc.constantFrom(1, 900, 5_000, 31_000),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          "complete" as const,
          "fail" as const,
          "late" as const,
          "die" as const,
          "release" as const,
          "renew" as const,
          "cancel" as const,
          "revive" as const,
        ),
        at: fc.nat(30),
      }),
    },
  ),
  { minLength: 10, maxLength: MAX_STEPS, size: "max" },
);

/** Changes a job whose runner is lost. */
function lose(known: Known): void {
  known.leased = null;
  known.status = known.attempts >= known.maxAttempts ? "dead" : "retrying";
  if (known.status === "retrying") known.dueAt = nowMs;
}

/** Runs a history on the table and on the model, and compares them after each step. */
class History {
  readonly #table: JobTable;
  readonly #known = new Map<string, Known>();

  constructor(table: JobTable) {
    this.#table = table;
  }

  async run(step: Step): Promise<void> {
    switch (step.kind) {
      case "add":
        return this.#add(step);
      case "wait":
        nowMs += step.ms;
        return undefined;
      case "take":
        return this.#take(step.count);
      case "restart":
        return this.#restart();
      default:
        return this.#touch(step.kind, step.at);
    }
  }

  async agree(): Promise<void> {
    const jobs = (await this.#table.list({}, MAX_STEPS))
      .map(({ id, status, attempts }) => `${id} ${status} ${attempts}`)
      .toSorted();
    const known = [...this.#known].map(([id, one]) => `${id} ${one.status} ${one.attempts}`);
    expect(jobs).toEqual(known.toSorted());
  }

  /**
   * The only server is gone and another one starts: running jobs are lost, and their ends are
   * rejected.
   */
  async #restart(): Promise<void> {
    await this.#table.reclaimAll();
    for (const known of this.#known.values()) if (known.status === "running") lose(known);
  }

  async #add({
    queue,
    key,
    priority,
    delayMs,
    maxAttempts,
    dedupeKey,
  }: Step & { kind: "add" }): Promise<void> {
    const dueAt = nowMs + delayMs;
    const id = await add(this.#table, {
      queue,
      key,
      priority: PRIORITY_NAMES[priority] ?? "low",
      dueAt,
      maxAttempts,
      dedupeKey,
    });
    const same = this.#known.get(id);
    if (same !== undefined && !OVER.has(same.status)) return;
    const lane = laneOf(queue, key);
    this.#known.set(id, {
      status: "pending",
      lane,
      priority,
      maxAttempts,
      attempts: 0,
      dueAt,
      leased: null,
      old: [],
    });
  }

  async #take(count: number): Promise<void> {
    // The jobs of lost runners are given to others, or are dead.
    for (const known of this.#known.values()) {
      if (known.status === "running" && known.dueAt <= nowMs) lose(known);
    }
    while ((await this.#table.settleDue()) > 0);
    const ready = [...this.#known].filter(
      ([, { status, dueAt }]) => (status === "pending" || status === "retrying") && dueAt <= nowMs,
    );
    const taken = await this.#table.take(count, () => LEASE_MS);
    expect(taken.length).toBe(Math.min(count, ready.length));
    const lanes = new Set(ready.map(([, { lane }]) => lane));
    const served = new Set<string>();
    for (const job of taken) {
      const known = this.#known.get(job.id);
      expect(ready.map(([id]) => id)).toContain(job.id);
      if (known === undefined) continue;
      served.add(known.lane);
      // No job that is more urgent is left in its lane.
      for (const [id, other] of ready)
        if (other.lane === known.lane && !taken.some((one) => one.id === id))
          expect(
            other.priority < known.priority ||
              (other.priority === known.priority && other.dueAt >= known.dueAt),
          ).toBe(true);
      Object.assign(known, {
        status: "running",
        attempts: known.attempts + 1,
        dueAt: nowMs + LEASE_MS,
        leased: job,
      });
      known.old.push(job);
    }
    // As many lanes as possible have had a turn.
    expect(served.size).toBe(Math.min(count, lanes.size));
  }

  async #touch(
    kind: Exclude<Step["kind"], "add" | "restart" | "take" | "wait">,
    at: number,
  ): Promise<void> {
    const entry = [...this.#known][at % Math.max(1, this.#known.size)];
    if (entry === undefined) return;
    const [id, known] = entry;
    const isOver = OVER.has(known.status);
    if (kind === "cancel") {
      expect(await store.transact((tx) => this.#table.cancel(tx, id))).toBe(!isOver);
      if (!isOver) known.status = "cancelled";
      return;
    }
    if (kind === "revive") {
      const isThere = known.status === "dead" || known.status === "cancelled";
      expect(await store.transact((tx) => this.#table.revive(tx, id))).toBe(isThere);
      if (isThere)
        Object.assign(known, { status: "pending", attempts: 0, dueAt: nowMs, leased: null });
      return;
    }
    if (kind === "late") {
      const [earlier] = known.old;
      if (earlier === undefined || earlier === known.old.at(-1)) return;
      const outcome = { kind: "completed" as const };
      expect(await store.transact((tx) => this.#table.finish(tx, earlier, outcome))).toBe(false);
      // As actions do, without a report.
      await this.#table.finishAll([{ job: earlier, outcome }]);
      return;
    }
    const { leased } = known;
    if (leased === null) return;
    if (kind === "die") {
      known.leased = null;
      return;
    }
    const isMine = known.status === "running";
    if (kind === "release") {
      await this.#table.release([leased]);
      if (isMine)
        Object.assign(known, {
          status: "pending",
          attempts: known.attempts - 1,
          dueAt: nowMs,
          leased: null,
        });
      return;
    }
    if (kind === "renew") {
      expect(await this.#table.renew([leased], LEASE_MS)).toEqual(isMine ? [] : [leased]);
      if (isMine) known.dueAt = nowMs + LEASE_MS;
      return;
    }
    await this.#finish(kind, leased, known, isMine);
  }

  async #finish(
    kind: "complete" | "fail",
    leased: LeasedJob,
    known: Known,
    isMine: boolean,
  ): Promise<void> {
    const outcome =
      kind === "complete"
        ? { kind: "completed" as const }
        : { kind: "failed" as const, error: "no", isFinal: false };
    expect(await store.transact((tx) => this.#table.finish(tx, leased, outcome))).toBe(isMine);
    if (!isMine) return;
    const isLast = known.attempts >= known.maxAttempts;
    known.leased = null;
    known.status = kind === "complete" ? "completed" : isLast ? "dead" : "retrying";
    known.dueAt = nowMs + 1_000 * 2 ** (known.attempts - 1);
  }
}

test(
  "every history of the queue is that of a naive model",
  async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const model = new History(await emptied());
        for (const step of history) {
          await model.run(step);
          await model.agree();
        }
      }),
      { numRuns: RUNS },
    );
  },
  Math.max(120_000, RUNS * 500),
);

test("several runners never take the same job, and together take all", async () => {
  const table = await emptied();
  const ids: string[] = [];
  for (let index = 0; index < 100; index += 1)
    ids.push(await add(table, { key: `tenant ${index % 7}` }));
  const runners = [1, 2, 3].map(() => new JobTable(store, platform));
  const taken: string[] = [];
  for (let found = -1; found !== taken.length;) {
    found = taken.length;
    const parts = await Promise.all(runners.map((runner) => runner.take(4, () => LEASE_MS)));
    taken.push(...parts.flat().map(({ id }) => id));
  }
  expect(taken.toSorted()).toEqual(ids.toSorted());
});

test("thousands of waiting jobs of a tenant do not delay another tenant", async () => {
  const table = await emptied();
  for (let index = 0; index < 50; index += 1) await add(table, { key: "large" });
  const small = await Promise.all(["a", "b", "c"].map((key) => add(table, { key })));
  const taken = (await table.take(4, () => LEASE_MS)).map(({ id }) => id);
  expect(taken).toHaveLength(4);
  for (const id of small) expect(taken).toContain(id);
});

test("a job that was returned to the queue is as if it had not been tried", async () => {
  const table = await emptied();
  const id = await add(table);
  const [job] = await table.take(1, () => LEASE_MS);
  await table.release(job === undefined ? [] : [job]);
  expect(await table.get(id)).toMatchObject({ status: "pending", attempts: 0 });
  const [again] = await table.take(1, () => LEASE_MS);
  expect(again?.id).toBe(id);
});

test("a job that has ended is deleted when it is old enough", async () => {
  const table = await emptied();
  await add(table);
  await add(table, { dueAt: nowMs + 60_000 });
  const [job] = await table.take(1, () => LEASE_MS);
  await table.finishAll(job === undefined ? [] : [{ job, outcome: { kind: "completed" } }]);
  expect(await table.forget("completed", nowMs - 1)).toBe(0);
  expect(await table.forget("completed", nowMs)).toBe(1);
  expect((await table.counts()).pending).toBe(1);
});

test("the time of the next work is known", async () => {
  const table = await emptied();
  expect(await table.nextDue()).toBeNull();
  await add(table, { dueAt: nowMs + 5_000 });
  expect(await table.nextDue()).toBe(nowMs + 5_000);
  await add(table);
  expect(await table.nextDue()).toBe(nowMs);
});

test("characters of an error that a store can't hold are removed", async () => {
  const table = await emptied();
  const odd = await add(table, { maxAttempts: 1 });
  const other = await add(table);
  const taken = await table.take(2, () => LEASE_MS);
  await table.finishAll(
    taken.map((job) => ({
      job,
      outcome:
        job.id === odd
          ? { kind: "failed", error: "a\0b \ud800", isFinal: false }
          : { kind: "completed" },
    })),
  );
  expect(await table.get(odd)).toMatchObject({ status: "dead", error: "ab \ufffd" });
  expect(await table.get(other)).toMatchObject({ status: "completed" });
});

test("ends of neighbouring jobs in serializable transactions do not conflict", async () => {
  const table = await emptied();
  for (let index = 0; index < 40; index += 1) await add(table);
  const taken = await table.take(40, () => LEASE_MS);
  const before = store.stats().conflicts;
  // All have begun before the first one ends.
  let begun = 0;
  const all = Promise.withResolvers<void>();
  await Promise.all(
    taken.slice(0, 2).map((job) =>
      store.transact(async (tx) => {
        await tx.get("_pylon_queues", "q");
        begun += 1;
        if (begun === 2 || store.dialect === "sqlite") all.resolve();
        await all.promise;
        await table.completeAtEnd(tx, job, () => new Error("It is lost."));
      }),
    ),
  );
  expect(store.stats().conflicts).toBe(before);
  expect((await table.counts()).completed).toBe(2);
});

test("a late end is rejected, and rolls back its transaction", async () => {
  const table = await emptied();
  await add(table);
  const [job] = await table.take(1, () => LEASE_MS);
  nowMs += LEASE_MS + 1;
  await table.settleDue();
  const late = store.transact(async (tx) => {
    if (job !== undefined) await table.completeAtEnd(tx, job, () => new Error("It is lost."));
  });
  await expect(late).rejects.toThrow("It is lost.");
  expect(await table.counts()).toMatchObject({ retrying: 1, completed: 0 });
});

test("jobs that are created together are equal to jobs that are created one by one", async () => {
  const table = await emptied();
  const jobs = ["a", "b"].map((name) => ({ id: table.newId(), call: callOf({ name }) }));
  await store.transact((tx) => table.addMany(tx, jobs));
  const taken = await table.take(5, () => LEASE_MS);
  expect(taken.map(({ id, name }) => [id, name])).toEqual(
    jobs.map(({ id, call }) => [id, call.name]),
  );
});

test("a job whose last attempt was lost is reported once", async () => {
  const table = await emptied();
  const last = await add(table, { maxAttempts: 1 });
  await add(table, { maxAttempts: 2 });
  await table.take(2, () => LEASE_MS);
  nowMs += LEASE_MS + 1;
  const dead: string[] = [];
  await table.settleDue(({ id }) => dead.push(id));
  await table.settleDue(({ id }) => dead.push(id));
  expect(dead).toEqual([last]);
});
