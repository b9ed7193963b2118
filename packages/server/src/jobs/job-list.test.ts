import { expect, test } from "bun:test";
import fc from "fast-check";
import { scheduledCall } from "../functions/scheduler.ts";
import { scratchStore } from "../store/testing/scratch-store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { countJobs, listJobs } from "./job-list.ts";
import { newRow } from "./job-row.ts";
import { JOB_STATUSES } from "./job.ts";

const TABLE = SYSTEM_TABLES.jobs.name;
const QUEUES = ["a", "b"] as const;

test("a list contains the newest of the requested jobs, in any state", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const job = fc.record({
    status: fc.constantFrom(...JOB_STATUSES),
    queue: fc.constantFrom(...QUEUES),
    ageMs: fc.nat(5),
  });
  const filter = fc.record({
    status: fc.option(fc.constantFrom(...JOB_STATUSES), { nil: undefined }),
    queue: fc.option(fc.constantFrom(...QUEUES), { nil: undefined }),
  });
  const jobs = fc.array(job, { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(jobs, filter, fc.integer({ min: 1, max: 10 }), async (given, asked, limit) => {
      const rows = given.map(({ status, queue, ageMs }, index) => ({
        ...newRow(
          String(index).padStart(2, "0"),
          scheduledCall(platform.now, "work", 0, {}, { queue }),
          platform.now() - ageMs,
        ),
        status,
      }));
      await store.transact(async (tx) => {
        await tx.deleteWhere(TABLE, { kind: "literal", value: true });
        await tx.insertMany(TABLE, rows);
      });
      const wanted = given
        .map((one, index) => ({ ...one, id: String(index).padStart(2, "0") }))
        .filter(({ status }) => (asked.status ?? status) === status)
        .filter(({ queue }) => (asked.queue ?? queue) === queue)
        .toSorted((one, other) => one.ageMs - other.ageMs || (one.id < other.id ? 1 : -1))
        .slice(0, limit);
      const listed = await listJobs(store, asked, limit);
      expect(listed.map(({ id, status, queue }) => ({ id, status, queue }))).toEqual(
        wanted.map(({ id, status, queue }) => ({ id, status, queue })),
      );
      const counts = await countJobs(store);
      for (const status of JOB_STATUSES)
        expect(counts[status]).toBe(given.filter((one) => one.status === status).length);
    }),
  );
});
