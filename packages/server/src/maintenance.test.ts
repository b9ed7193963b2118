import { expect, test } from "bun:test";
import { Maintenance, type MaintenanceServices } from "./maintenance.ts";
import { systemPlatform } from "./platform.ts";

interface Opened {
  readonly maintenance: Maintenance;
  readonly done: string[];
  readonly errors: unknown[];
}

function open(change: Partial<MaintenanceServices> = {}): Opened {
  const [done, errors]: [string[], unknown[]] = [[], []];
  const maintenance = new Maintenance({
    store: {
      trimLog: async (keep) => void done.push(`trim ${keep}`),
      transact: async () => {
        done.push("answers");
        return Promise.reject(new Error("no database"));
      },
      aggregate: () => Promise.reject(new Error("no database")),
    },
    auth: { forgetExpired: async () => void done.push("sessions") },
    files: { run: async () => void done.push("files") },
    jobs: { forgetOld: async () => void done.push("jobs") },
    workflows: { forgetOld: async () => void done.push("workflows") },
    shards: { forgetOld: async () => void done.push("shards") },
    platform: systemPlatform,
    changeLogMax: 7,
    onError: (error) => errors.push(error),
    ...change,
  });
  return { maintenance, done, errors };
}

test("files are cleaned up even if the database fails, and each failure is reported", async () => {
  const { maintenance, done, errors } = open();
  await maintenance.run();
  expect(done).toEqual(["trim 7", "answers", "files"]);
  expect(errors).toEqual([new Error("no database")]);
});

test("a stop waits for the current step, and starts no other one", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const begun: string[] = [];
  const { maintenance, done, errors } = open({
    store: {
      trimLog: async () => {
        begun.push("trim");
        await promise;
      },
      transact: () => Promise.reject(new Error("the store is closed")),
      aggregate: () => Promise.reject(new Error("the store is closed")),
    },
  });
  const run = maintenance.run();
  let isStopped = false;
  const stopped = maintenance.stop().then(() => {
    isStopped = true;
  });
  await Bun.sleep(0);
  expect([begun, isStopped]).toEqual([["trim"], false]);
  resolve();
  await Promise.all([run, stopped]);
  await maintenance.run();
  expect([done, errors]).toEqual([[], []]);
});
