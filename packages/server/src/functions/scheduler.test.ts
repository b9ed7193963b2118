import { expect, test } from "bun:test";
import { systemPlatform } from "../platform.ts";
import type { Transaction } from "../store/store.ts";
import { scheduledCall, TransactionScheduler, type JobQueue } from "./scheduler.ts";

const refusalOf = (name: unknown, options?: object): unknown => {
  try {
    scheduledCall(() => 0, name, 0, {}, options);
    return null;
  } catch (error) {
    return error;
  }
};

test("invalid calls are rejected with the invalid field", () => {
  expect(refusalOf("send")).toBeNull();
  for (const name of ["", "a\0b", "a\ud800", "n".repeat(257), 5, null])
    expect(refusalOf(name)).toMatchObject({ code: "INVALID_ARGS", field: "name" });
  const notOptions: object[] = JSON.parse("[null, []]");
  for (const options of notOptions)
    expect(refusalOf("send", options)).toMatchObject({ code: "INVALID_ARGS", field: "options" });
  expect(refusalOf("send", { retries: 1 })).toMatchObject({
    code: "INVALID_ARGS",
    field: "retries",
  });
});

/** A queue that says what is written to it. */
function recordedQueue(): { readonly queue: JobQueue; readonly written: string[] } {
  const written: string[] = [];
  let ids = 0;
  const queue: JobQueue = {
    newId: () => `job${(ids += 1)}`,
    now: systemPlatform.now,
    add: async (_tx, { name }) => {
      written.push(`add ${name}`);
      return Promise.resolve(`id of ${name}`);
    },
    addMany: async (_tx, jobs) => {
      written.push(jobs.map(({ id, call }) => `${id} ${call.name}`).join(", "));
      return Promise.resolve();
    },
    cancel: async (_tx, id) => {
      written.push(`cancel ${id}`);
      return Promise.resolve(true);
    },
    wake: () => undefined,
  };
  return { queue, written };
}

const TX: Transaction = Object.create(null);

test("the calls of a transaction are written together, before any is cancelled", async () => {
  const { queue, written } = recordedQueue();
  const scheduler = new TransactionScheduler(queue, TX);
  const ids = await Promise.all(["a", "b"].map((name) => scheduler.runAfter(0, name)));
  expect(ids).toEqual(["job1", "job2"]);
  expect(written).toEqual([]);
  await scheduler.cancel("job1");
  await scheduler.runAfter(0, "once", {}, { dedupeKey: "k" });
  await scheduler.runAfter(0, "c");
  await scheduler.close();
  expect(written).toEqual(["job1 a, job2 b", "cancel job1", "add once", "job3 c"]);
  await expect(scheduler.runAfter(0, "late")).rejects.toThrow("await every call");
});

test("arguments of more than a mebibyte are written before the end", async () => {
  const { queue, written } = recordedQueue();
  const scheduler = new TransactionScheduler(queue, TX);
  for (let index = 0; index < 5; index += 1)
    await scheduler.runAfter(0, "large", { text: "x".repeat(250_000) });
  expect(written).toEqual(["job1 large, job2 large, job3 large, job4 large, job5 large"]);
});

test("an invalid batch is rejected as a whole, with the invalid field", async () => {
  const { queue, written } = recordedQueue();
  const scheduler = new TransactionScheduler(queue, TX);
  const good = { name: "a" };
  const bad: readonly (readonly [unknown, unknown, string])[] = [
    [{}, good, "calls"],
    [[good, 7], good, "calls"],
    [[good], null, "after"],
    [[{ name: "" }], good, "name"],
    [[{ name: "a", delayMs: 5 }], good, "delayMs"],
    [[{ name: "a", args: 5 }], good, "args"],
    [[{ name: "a", options: 5 }], good, "options"],
    [[{ name: "a", options: { dedupeKey: "k" } }], good, "dedupeKey"],
  ];
  for (const [calls, after, field] of bad)
    await expect(
      Reflect.apply(scheduler.runBatch, undefined, [calls, after]) as Promise<string>,
    ).rejects.toMatchObject({ code: "INVALID_ARGS", field });
  await scheduler.close();
  expect(written).toEqual([]);
});
