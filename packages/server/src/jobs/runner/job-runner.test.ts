import { expect, test } from "bun:test";
import { action, mutation, v } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import { scheduledCall } from "../../functions/scheduler.ts";
import { until } from "../../../../../tests/support/client.ts";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { systemPlatform, type Platform } from "../../platform.ts";
import { openStore } from "../../store/open-store.ts";
import type { Store } from "../../store/store.ts";
import { errorText } from "../../util/errors.ts";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import type { JobRunnerServices } from "./job-runner.ts";
import { Jobs } from "../jobs.ts";

const functions = new Map([
  ["send", action({ args: { to: v.string() }, handler: () => null })],
  ["write", mutation({ args: {}, handler: () => null })],
]);

/** Starts a runner with its services; `run` replaces the call of a function. */
function startRunner(
  { store, platform }: { readonly store: Store; readonly platform: Platform },
  options: Pick<JobRunnerServices, "runner"> & Partial<JobRunnerServices>,
) {
  const jobs = new Jobs(store, platform);
  const ended: string[] = [];
  const died: string[] = [];
  let onEnd = (): void => undefined;
  const started = jobs.start({
    functions: () => functions,
    tasks: new Map(),
    concurrency: 4,
    timeoutMs: 30_000,
    watched: () => Promise.resolve(),
    traced: (_job, attempt) => attempt(),
    observer: {
      ended: ({ name }, outcome) => {
        ended.push(`${name} ${outcome}`);
        onEnd();
      },
      died: ({ name }) => died.push(name),
      failed: (error) => {
        throw error;
      },
    },
    ...options,
  });
  return {
    died,
    jobs,
    started,
    add: (name: string, args: object = {}) =>
      jobs.addOne(scheduledCall(() => jobs.now(), name, 0, args)),
    /** Waits until an attempt has ended. */
    next: () =>
      new Promise<string>((resolve) => {
        onEnd = () => resolve(ended.at(-1) ?? "");
      }),
  };
}

test("no function is called before the watchdog would notice one that never returns", async () => {
  await using scratch = scratchStore();
  const asked = Promise.withResolvers<void>();
  const watched = Promise.withResolvers<void>();
  let calls = 0;
  const { add, next, started, jobs } = startRunner(scratch, {
    runner: { run: async () => ((calls += 1), { value: null, json: "null" }) },
    watched: () => {
      asked.resolve();
      return watched.promise;
    },
  });
  await started;
  await add("send", { to: "ann" });
  await asked.promise;
  expect(calls).toBe(0);
  const end = next();
  watched.resolve();
  expect(await end).toBe("send completed");
  expect(calls).toBe(1);
  await jobs.stop(1_000);
});

test("a database that stays unavailable is reported once each time", async () => {
  await using scratch = scratchStore();
  let isDown = false;
  let [answered, refused] = [0, 0];
  const store = new Proxy(scratch.store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: readonly unknown[]): unknown => {
        answered += 1;
        if (!isDown) return Reflect.apply(value, target, args);
        refused += 1;
        throw new Error("The database can't be reached.");
      };
    },
  });
  const platform: Platform = {
    ...systemPlatform,
    after: (ms, run) => systemPlatform.after(Math.min(ms, 5), run),
  };
  const reported: string[] = [];
  const { add, started, jobs } = startRunner(
    { store, platform },
    {
      runner: { run: async () => ({ value: null, json: "null" }) },
      observer: {
        ended: () => onEnd(),
        died: () => undefined,
        failed: (error) => reported.push(errorText(error)),
      },
    },
  );
  let onEnd = (): void => undefined;
  await started;
  for (const round of [1, 2]) {
    isDown = true;
    const before = refused;
    // An idle server would look again some seconds later.
    jobs.wake([0]);
    await until(() => refused > before + 20);
    expect(reported).toEqual(Array.from({ length: round }, () => "The database can't be reached."));
    isDown = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    onEnd = resolve;
    await add("send", { to: "ann" });
    await promise;
    // The runner looks for work again, without an error.
    const asked = answered;
    jobs.wake([0]);
    await until(() => answered > asked);
  }
  await jobs.stop(1_000);
});

test("an idle server that has its jobs alone reads them only every few seconds", async () => {
  await using scratch = scratchStore();
  if (scratch.store.dialect !== "sqlite") return;
  let [reads, looks, aheadMs] = [0, 0, 0];
  const store = new Proxy(scratch.store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: readonly unknown[]): unknown => {
        reads += 1;
        return Reflect.apply(value, target, args);
      };
    },
  });
  const platform: Platform = {
    ...systemPlatform,
    now: () => systemPlatform.now() + aheadMs,
    after: (ms, run) => {
      looks += 1;
      return systemPlatform.after(Math.min(ms, 5), run);
    },
  };
  const runner = { run: async () => ({ value: null, json: "null" }) };
  const { add, next, started, jobs } = startRunner({ store, platform }, { runner });
  await started;
  await until(() => looks > 3);
  const [readsBefore, looksBefore] = [reads, looks];
  await until(() => looks > looksBefore + 20);
  expect(reads).toBe(readsBefore);

  const added = next();
  await add("send", { to: "ann" });
  expect(await added).toBe("send completed");

  // Of a tool that writes to the same file, and can't wake this server.
  const found = next();
  const tool = new Jobs(scratch.store, platform);
  await tool.addOne(scheduledCall(() => tool.now(), "send", 0, { to: "ben" }));
  aheadMs = 5_000;
  expect(await found).toBe("send completed");
  await jobs.stop(1_000);
});

test("a cron is on time on an idle server", async () => {
  await using scratch = scratchStore();
  let [looks, nowMs] = [0, Date.parse("2026-03-01T08:00:57Z")];
  const platform: Platform = {
    ...systemPlatform,
    now: () => nowMs,
    after: (ms, run) => {
      looks += 1;
      return systemPlatform.after(Math.min(ms, 5), run);
    },
  };
  const runner = { run: async () => ({ value: null, json: "null" }) };
  const { next, started, jobs } = startRunner({ store: scratch.store, platform }, { runner });
  await started;
  jobs.declare({ crons: [{ name: "each minute", schedule: "* * * * *", function: "write" }] });
  const before = looks;
  await until(() => looks > before + 3);
  const ended = next();
  nowMs += 3_000;
  expect(await ended).toBe("write completed");
  await jobs.stop(1_000);
});

test("a cron whose time comes during a look of an idle server is on time", async () => {
  await using scratch = scratchStore();
  let looks = 0;
  let minute = Date.parse("2026-03-01T08:00:00Z");
  /** How often the clock is read before the minute begins. */
  let readsBefore = 0;
  const platform: Platform = {
    ...systemPlatform,
    now: () => (readsBefore > 0 ? ((readsBefore -= 1), minute - 1) : minute),
    after: (ms, run) => {
      looks += 1;
      return systemPlatform.after(Math.min(ms, 1), run);
    },
  };
  const runner = { run: async () => ({ value: null, json: "null" }) };
  const { next, started, jobs } = startRunner({ store: scratch.store, platform }, { runner });
  await started;
  jobs.declare({ crons: [{ name: "each minute", schedule: "* * * * *", function: "write" }] });
  for (let reads = 1; reads <= 12; reads += 1) {
    const before = looks;
    await until(() => looks > before + 8);
    const ended = next();
    [minute, readsBefore] = [minute + 60_000, reads];
    expect(await ended).toBe("write completed");
  }
  await jobs.stop(1_000);
});

test("invalid arguments end a job immediately, an error of its handler does not", async () => {
  await using scratch = scratchStore();
  const refusal = new PylonError("INVALID_ARGS", "not on a Sunday");
  const { add, next, started, jobs, died } = startRunner(scratch, {
    runner: { run: () => Promise.reject(refusal) },
  });
  await started;
  const dead = next();
  await add("send", { to: 7 });
  expect(await dead).toBe("send dead");
  const failed = next();
  await add("send", { to: "ann" });
  expect(await failed).toBe("send failed");
  expect(died).toEqual(["send"]);
  await jobs.stop(1_000);
});

test("a clock that jumps forward gives no running job a second attempt", async () => {
  await using scratch = scratchStore();
  const release = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  let calls = 0;
  const { add, started, jobs } = startRunner(scratch, {
    runner: {
      run: async () => {
        calls += 1;
        begun.resolve();
        await release.promise;
        return { value: null, json: "null" };
      },
    },
  });
  await started;
  const id = await add("send", { to: "ann" });
  await begun.promise;
  scratch.advance(60 * 60_000);
  const dueAt = async (): Promise<number> => (await jobs.get(id))?.dueAt ?? 0;
  jobs.wake([0]);
  await until(async () => (await dueAt()) > scratch.platform.now());
  // This look would take the jobs that are ready.
  await add("send", { to: "bob" });
  await until(() => calls === 2);
  release.resolve();
  await until(async () => (await jobs.counts()).completed === 2);
  expect(calls).toBe(2);
  expect(await jobs.get(id)).toMatchObject({ attempts: 1, status: "completed" });
  await jobs.stop(1_000);
});

const HOUR_MS = 60 * 60_000;

test("after the clock is set back, delays begin again, and named times stay", async () => {
  await using scratch = scratchStore();
  const ran: string[] = [];
  let failures = 1;
  const { add, started, jobs, next } = startRunner(scratch, {
    runner: {
      run: async (_name, _definition, args) => {
        const { to } = args as { readonly to: string };
        ran.push(to);
        if (to === "retried" && (failures -= 1) >= 0) throw new Error("Not now.");
        return { value: null, json: "null" };
      },
    },
  });
  await started;
  const at = (delayMs: number, to: string): ReturnType<typeof scheduledCall> =>
    scheduledCall(() => jobs.now(), "send", delayMs, { to });
  const { delayMs: _relative, ...named } = at(4_000, "named");
  const failed = next();
  const retried = await add("send", { to: "retried" });
  await failed;
  await until(async () => (await jobs.get(retried))?.status === "retrying");
  const soon = await jobs.addOne(at(5_000, "soon"));
  const before = at(0, "now");
  await jobs.addOne(named);
  scratch.setBack(HOUR_MS);
  // It was called before, and is stored now.
  await jobs.addOne(before);
  jobs.wake([0]);
  await until(() => ran.includes("now"));
  const left = async (id: string): Promise<number> =>
    ((await jobs.get(id))?.dueAt ?? 0) - scratch.platform.now();
  await until(async () => (await left(soon)) <= 5_000);
  expect(await left(retried)).toBeLessThan(60_000);
  scratch.advance(60_000);
  jobs.wake([0]);
  await until(() => ran.length === 4);
  expect(ran.toSorted()).toEqual(["now", "retried", "retried", "soon"]);
  scratch.advance(HOUR_MS);
  jobs.wake([0]);
  await until(() => ran.at(-1) === "named");
  await jobs.stop(1_000);
});

test("a clock that is set back does not delay the retry of a job with a named time", async () => {
  await using scratch = scratchStore();
  let runs = 0;
  const { started, jobs, next } = startRunner(scratch, {
    runner: {
      run: async () => {
        if ((runs += 1) === 1) throw new Error("Not now.");
        return { value: null, json: "null" };
      },
    },
  });
  await started;
  const { delayMs: _relative, ...named } = scheduledCall(() => jobs.now(), "send", 1_000, {
    to: "ann",
  });
  const id = await jobs.addOne(named);
  const failed = next();
  scratch.advance(1_000);
  jobs.wake([0]);
  await failed;
  await until(async () => (await jobs.get(id))?.status === "retrying");
  scratch.setBack(HOUR_MS);
  const left = async (): Promise<number> =>
    ((await jobs.get(id))?.dueAt ?? 0) - scratch.platform.now();
  jobs.wake([0]);
  await until(async () => (await left()) <= 60_000);
  scratch.advance(60_000);
  jobs.wake([0]);
  await until(async () => (await jobs.get(id))?.status === "completed");
  expect(runs).toBe(2);
  await jobs.stop(1_000);
});

test("a clock that was set back before the start delays no job", async () => {
  await using scratch = scratchStore();
  const runner = { run: async () => ({ value: null, json: "null" }) };
  const first = startRunner(scratch, { runner, concurrency: 0 });
  await first.started;
  const call = scheduledCall(() => first.jobs.now(), "send", 5_000, { to: "ann" });
  const id = await first.jobs.addOne(call);
  await first.jobs.stop(0);
  scratch.setBack(HOUR_MS);
  const { jobs, started } = startRunner(scratch, { runner });
  await started;
  await until(async () => (await jobs.get(id))?.dueAt === scratch.platform.now() + 5_000);
  scratch.advance(5_000);
  jobs.wake([0]);
  await until(async () => (await jobs.get(id))?.status === "completed");
  await jobs.stop(1_000);
});

test("replicas on Postgres whose clocks differ leave each other's running jobs alone", async () => {
  const url = await createDatabase(sharedPostgresUrl());
  const open = (): Promise<Store> =>
    openStore(
      { kind: "postgres", url, poolMax: 4, ca: null },
      { startTimeoutMs: 0, onState: () => undefined },
    );
  const release = Promise.withResolvers<void>();
  const calls: string[] = [];
  const runnerOf = (replica: string): JobRunnerServices["runner"] => ({
    run: async (_name, _definition, args) => {
      calls.push(`${replica} ${JSON.stringify(args)}`);
      if (JSON.stringify(args) === '{"to":"ann"}') await release.promise;
      return { value: null, json: "null" };
    },
  });
  const stores = [await open(), await open()] as const;
  const ahead = { ...systemPlatform, now: () => Date.now() + 60 * 60_000 };
  const right = startRunner(
    { store: stores[0], platform: systemPlatform },
    { runner: runnerOf("right"), concurrency: 1 },
  );
  await right.started;
  const id = await right.add("send", { to: "ann" });
  await until(() => calls.length === 1);
  const wrong = startRunner(
    { store: stores[1], platform: ahead },
    { runner: runnerOf("wrong"), concurrency: 1 },
  );
  try {
    await wrong.started;
    // The runner looks for expired leases before it looks for ready jobs.
    await wrong.add("send", { to: "bob" });
    await until(async () => (await right.jobs.counts()).completed === 1);
    release.resolve();
    await until(async () => (await right.jobs.counts()).completed === 2);
    expect(calls).toEqual(['right {"to":"ann"}', 'wrong {"to":"bob"}']);
    expect(await right.jobs.get(id)).toMatchObject({ attempts: 1 });
  } finally {
    release.resolve();
    await Promise.all([right.jobs.stop(1_000), wrong.jobs.stop(1_000)]);
    await Promise.all(stores.map((store) => store.close()));
  }
});
