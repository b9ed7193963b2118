import { expect, test } from "bun:test";
import fc from "fast-check";
import { ManualPlatform, turn } from "../testing/manual-platform.ts";
import type { Aggregate, Store } from "../store/store.ts";
import { StatusWatch } from "./status-watch.ts";

// Which of the jobs that are followed have changed, against a plain list of what was read.

const IDS = ["a", "b", "c"];

/** A table of jobs of which only the status matters. */
class Table {
  readonly statuses = new Map<string, string>();
  reads = 0;
  isAway = false;

  get store(): Store {
    const aggregate = async ({ entity, where }: Aggregate): Promise<Record<string, string>[]> => {
      if (this.isAway) throw new Error("The database is away.");
      this.reads += 1;
      if (entity !== "_pylon_jobs") return [];
      const wanted = JSON.stringify(where);
      return [...this.statuses].flatMap(([id, status]) =>
        wanted.includes(`"${id}"`) ? [{ id, status }] : [],
      );
    };
    return { aggregate } as unknown as Store;
  }
}

function setUp() {
  const platform = new ManualPlatform();
  const table = new Table();
  const changed: string[] = [];
  const errors: unknown[] = [];
  const watch = new StatusWatch({
    store: table.store,
    platform,
    onChanged: (_kind, id) => changed.push(id),
    onError: (error) => errors.push(error),
  });
  return { platform, table, changed, errors, watch };
}

test("each change of what is followed is told once, and of what is not followed none", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("follow"), by: fc.nat(3), id: fc.constantFrom(...IDS) }),
    fc.record({ do: fc.constant("leave"), by: fc.nat(3), id: fc.constant("") }),
    fc.record({
      do: fc.constantFrom("start", "end", "delete"),
      by: fc.nat(3),
      id: fc.constantFrom(...IDS),
    }),
    fc.record({ do: fc.constant("look"), by: fc.nat(3), id: fc.constant("") }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { platform, table, changed, watch } = setUp();
      const aborts = new Map<number, AbortController>();
      // What each follower has seen last.
      const seen = new Map<number, { id: string; status: string | undefined }>();
      for (const { do: what, by, id } of steps) {
        if (what === "follow") {
          const abort = new AbortController();
          aborts.set(by, abort);
          await watch.follow(String(by), "job", id, abort.signal);
          seen.set(by, { id, status: table.statuses.get(id) });
        } else if (what === "leave") {
          aborts.get(by)?.abort();
          seen.delete(by);
        } else if (what === "delete") table.statuses.delete(id);
        else if (what !== "look") table.statuses.set(id, what);
        else {
          changed.length = 0;
          platform.advance(250);
          await turn();
          const expected = new Set<string>();
          for (const one of seen.values()) {
            const status = table.statuses.get(one.id);
            if (status !== one.status) expected.add(one.id);
            one.status = status;
          }
          expect([...changed].sort()).toEqual([...expected].sort());
        }
        expect(watch.size).toBe(seen.size);
      }
    }),
    { numRuns: 300 },
  );
});

test("nobody follows anything: nothing is read", async () => {
  const { platform, table, watch } = setUp();
  const abort = new AbortController();
  await watch.follow("one", "job", "a", abort.signal);
  platform.advance(250);
  await turn();
  const reads = table.reads;
  expect(reads).toBeGreaterThan(1);
  abort.abort();
  for (let looks = 0; looks < 10; looks += 1) {
    platform.advance(250);
    await turn();
  }
  expect(table.reads).toBe(reads);
});

test("a database that is away is asked again later, and then tells what has changed", async () => {
  const { platform, table, changed, errors, watch } = setUp();
  table.statuses.set("a", "running");
  await watch.follow("one", "job", "a", new AbortController().signal);
  table.isAway = true;
  platform.advance(250);
  await turn();
  expect(errors).toHaveLength(1);
  table.isAway = false;
  table.statuses.set("a", "completed");
  platform.advance(4_000);
  await turn();
  expect(changed).toEqual([]);
  platform.advance(1_000);
  await turn();
  expect(changed).toEqual(["a"]);
});
