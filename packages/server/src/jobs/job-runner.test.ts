import { expect, test } from "bun:test";
import { action, mutation, v } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import { scheduledCall } from "../functions/scheduler.ts";
import { scratchStore } from "../store/testing/scratch-store.ts";
import type { JobRunnerServices } from "./job-runner.ts";
import { Jobs } from "./jobs.ts";

const functions = new Map([
  ["send", action({ args: { to: v.string() }, handler: () => null })],
  ["write", mutation({ args: {}, handler: () => null })],
]);

/** A runner's surroundings, with the call of a function made up by `run`. */
function startRunner(
  { store, platform }: ReturnType<typeof scratchStore>,
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
      jobs.addOne(scheduledCall(platform.now, name, 0, args)),
    /** Waits until an attempt has ended. */
    next: () =>
      new Promise<string>((resolve) => {
        onEnd = () => resolve(ended.at(-1) ?? "");
      }),
  };
}

test("no function is called before one that never returns would be noticed", async () => {
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

test("arguments that do not fit end a job at once, a handler's refusal does not", async () => {
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
