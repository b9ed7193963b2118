import { parseFilter } from "@pylonsync/query";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { openAppData, type AppData } from "../../data/testing/app-data.ts";
import { ReadLog, type LoggedRead } from "../../data/read-log.ts";
import { Reads } from "../../data/reads.ts";
import { ANONYMOUS } from "../../identity/identity.ts";
import type { ChangeRecord } from "../../store/store.ts";
import { ReadIndex } from "./read-index.ts";
import { WatchedRead } from "./watched-read.ts";

const manifest = buildManifest({
  name: "reads",
  version: "1.0.0",
  entities: [
    entity(
      "Item",
      {
        n: field.int().optional(),
        text: field.string().optional(),
        ownerId: field.string().optional(),
      },
      {
        relations: [{ name: "owner", target: "Item", field: "ownerId" }],
        search: { fields: ["text"], facets: ["n"], sort: ["n"], prefix: true },
      },
    ),
  ],
});

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

const ids = fc.constantFrom("a", "b", "c", "d", "e");
const numbers = fc.option(fc.integer({ min: 0, max: 3 }));
const texts = fc.option(fc.constantFrom("x", "Xy", "yz"));
const rows = fc.record({ n: numbers, text: texts, ownerId: fc.option(ids) });
const conditions = fc.oneof(
  fc.record({ n: numbers }),
  fc.record({ text: texts }),
  fc.record({ n: fc.record({ $gt: fc.integer({ min: 0, max: 3 }) }) }),
  fc.record({ text: fc.constant({ $like: "y" }) }),
  fc.record({ id: fc.record({ $in: fc.array(ids, { minLength: 1, maxLength: 2 }) }) }),
  fc.record({ $or: fc.tuple(fc.record({ n: numbers }), fc.record({ text: texts })) }),
  fc.constant({}),
);
const windows = fc.record(
  {
    $order: fc.constantFrom<object>({ n: "asc" }, { n: "desc" }, { text: "asc", n: "desc" }),
    $limit: fc.integer({ min: 1, max: 3 }),
    $offset: fc.integer({ min: 0, max: 2 }),
  },
  { requiredKeys: [] },
);

/** Something that a function reads. */
type Ask = (reads: Reads) => Promise<unknown>;
const asks: fc.Arbitrary<Ask> = fc.oneof(
  ids.map(
    (id): Ask =>
      (reads) =>
        reads.get("Item", id),
  ),
  fc.tuple(conditions, windows).map(
    ([where, window]): Ask =>
      (reads) =>
        reads.query("Item", { ...where, ...window }),
  ),
  conditions.map(
    (where): Ask =>
      (reads) =>
        reads.count("Item", where),
  ),
  fc.tuple(conditions, fc.constantFrom("sum", "min", "countDistinct")).map(
    ([where, measure]): Ask =>
      (reads) =>
        reads.aggregate("Item", { where, [measure]: ["n"], groupBy: ["text"] }),
  ),
  fc.record({ cursor: fc.option(ids), numItems: fc.integer({ min: 1, max: 2 }) }).map(
    (page): Ask =>
      (reads) =>
        reads.paginate("Item", page),
  ),
  fc.constantFrom("x", "yz").map(
    (text): Ask =>
      (reads) =>
        reads.lookup("Item", "text", text),
  ),
  fc.tuple(fc.constantFrom("x", "y", "yz"), conditions, fc.boolean()).map(
    ([query, filters, isSorted]): Ask =>
      (reads) =>
        reads.search("Item", { query, filters, pageSize: 2, sort: isSorted ? ["n", "asc"] : null }),
  ),
  conditions.map((where): Ask => (reads) => {
    return reads.queryGraph({ Item: { where, include: { owner: {} }, limit: 2 } });
  }),
);

type Write = readonly [id: string, row: Readonly<Record<string, unknown>> | null];
const writes: fc.Arbitrary<Write> = fc.tuple(ids, fc.oneof(rows, rows, fc.constant(null)));

/** What is decided by a read about a change. */
type Decide = (read: LoggedRead, change: ChangeRecord) => boolean;
const decide: Decide = (read, change) => new WatchedRead(null, read).isTouchedBy(change);

async function write([id, row]: Write): Promise<readonly ChangeRecord[]> {
  const { head } = await app.store.bounds();
  await app.committer.commit({ caller: ANONYMOUS, policies: "bypassed" }, async (writer) => {
    const isThere = (await writer.get("Item", id)) !== null;
    if (row === null) await writer.delete("Item", id);
    else if (isThere) await writer.update("Item", id, row);
    else await writer.insert("Item", row, id);
  });
  return app.store.changes(head, 10);
}

/** Whether each change that changes an answer touches one of the reads behind it. */
function holds(by: Decide, numRuns: number): Promise<fc.RunDetails<[Write[], Ask, Write[]]>> {
  const many = fc.array(writes, { minLength: 1, maxLength: 5 });
  return Promise.resolve(
    fc.check(
      fc.asyncProperty(many, asks, many, async (before, ask, after) => {
        await app.clear();
        for (const one of before) await write(one);
        for (const one of after) {
          const log = new ReadLog();
          const ofNow = (reader: typeof app.store | ReturnType<ReadLog["watch"]>): Reads =>
            new Reads(reader, app.model, {
              caller: ANONYMOUS,
              policies: "bypassed",
              now: 0,
              monotonic: app.platform.monotonic,
            });
          const answer = JSON.stringify(await ask(ofNow(log.watch(app.store))));
          const changes = await write(one);
          if (JSON.stringify(await ask(ofNow(app.store))) === answer) continue;
          if (!changes.some((change) => log.reads.some((read) => by(read, change)))) return false;
        }
        return true;
      }),
      // What a fault is found by need not be small, and chance must not decide whether it is.
      by === decide ? { numRuns } : { numRuns, endOnFailure: true, seed: FAULT_SEED },
    ),
  );
}

test("a change that changes an answer touches a read that was made for it", async () => {
  const { failed, counterexample, seed } = await holds(decide, 200);
  expect({ failed, counterexample, seed }).toMatchObject({ failed: false });
});

/** With it each of the faults is found within a few hundred runs. */
const FAULT_SEED = 1;
/** Ways to be wrong, each of which the test above has to find. */
const FAULTS: Readonly<Record<string, Decide>> = {
  "the row before a change is not looked at": (read, change) =>
    decide(read, { ...change, before: null }),
  "the row after a change is not looked at": (read, change) =>
    decide(read, { ...change, after: null }),
  "an update counts only where a row comes or goes": (read, change) =>
    decide({ ...read, of: "count" }, change),
  "a page ends before its last row": (read, change) =>
    decide(read, change) &&
    (read.last?.id !== change.rowId || change.kind !== "update") &&
    read.last?.id !== change.rowId,
  "the order of a page is that of the ids": (read, change) =>
    decide({ ...read, order: [] }, change),
  "the order of a page is turned": (read, change) =>
    decide(
      {
        ...read,
        order: read.order.map(({ field: name, direction }) => ({
          field: name,
          direction: direction === "asc" ? "desc" : "asc",
        })),
      },
      change,
    ),
  "deleted rows touch nothing": (read, change) => change.kind !== "delete" && decide(read, change),
  "another condition is asked": (read, change) =>
    decide({ ...read, where: parseFilter({ n: 1 }, app.model.entity("Item").shape).where }, change),
};

test.each(Object.entries(FAULTS))("it is found that %s", async (_name, fault) => {
  expect((await holds(fault, 2_000)).failed).toBe(true);
});

test("what lies behind a page, or counts alike, touches nothing", async () => {
  const read: LoggedRead = {
    entity: "Item",
    where: parseFilter({ n: { $gt: 0 } }, app.model.entity("Item").shape).where,
    of: "rows",
    order: [{ field: "n", direction: "asc" }],
    fields: null,
    last: { id: "c", n: 2 },
  };
  const change = { entity: "Item", rowId: "d", kind: "update", seq: 1, at: 0 } as const;
  const touches = (before: number | null, after: number | null, given = read): boolean =>
    decide(given, {
      ...change,
      before: before === null ? null : { id: "d", n: before },
      after: after === null ? null : { id: "d", n: after },
    });
  expect(touches(null, 2)).toBe(false);
  expect(touches(3, 4)).toBe(false);
  expect(touches(3, 1)).toBe(true);
  expect(touches(1, null)).toBe(true);
  const count: LoggedRead = { ...read, of: "count", last: null };
  expect(touches(1, 2, count)).toBe(false);
  expect(touches(1, 0, count)).toBe(true);
  const sum: LoggedRead = { ...read, fields: ["n"], last: null };
  expect(touches(1, 2, sum)).toBe(true);
  const other = { id: "d", n: 1, text: "x" };
  expect(decide(sum, { ...change, before: { ...other, text: "y" }, after: other })).toBe(false);
  expect(decide(read, { ...change, entity: "Other", before: null, after: { id: "d", n: 1 } })).toBe(
    false,
  );
});

test("an aggregate depends on the fields that it uses, and others on all", async () => {
  const fieldsOf = async (spec: object): Promise<unknown> => {
    const log = new ReadLog();
    const scope = { caller: ANONYMOUS, policies: "bypassed", now: 0 } as const;
    const { monotonic } = app.platform;
    await new Reads(log.watch(app.store), app.model, { ...scope, monotonic }).aggregate(
      "Item",
      spec,
    );
    return log.reads.map(({ where, fields }) => [where.kind, fields]);
  };
  expect(await fieldsOf({ count: true })).toEqual([["literal", []]]);
  expect(await fieldsOf({ count: "n", min: ["text"], where: { ownerId: "a" } })).toEqual([
    ["compare", ["n", "text"]],
  ]);
  // The other row is read too, as a whole.
  expect(await fieldsOf({ count: true, groupBy: ["text", "owner.n"] })).toEqual([
    ["literal", ["ownerId", "text"]],
    ["literal", null],
  ]);
  // Which rows match may depend on any field.
  expect(await fieldsOf({ count: true, where: { owner: { n: 1 } } })).toEqual([
    ["literal", null],
    ["literal", null],
  ]);
});

test("reads are found by the values that they wait for, until they are taken out", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(ids, fc.boolean()), { maxLength: 6 }),
      ids,
      (waiting, changed) => {
        const index = new ReadIndex<string>();
        const { shape } = app.model.entity("Item");
        const reads = waiting.map(([id, isLeft], place) => ({
          isLeft,
          read: new WatchedRead(`${place} ${id}`, {
            entity: "Item",
            where: parseFilter({ id }, shape).where,
            of: "rows",
            order: [],
            fields: null,
            last: null,
          }),
        }));
        index.add(reads.map(({ read }) => read));
        index.delete(reads.filter(({ isLeft }) => !isLeft).map(({ read }) => read));
        const found = new Set<string>();
        const row = { id: changed, n: 1, text: null };
        const change = { entity: "Item", rowId: changed, kind: "insert", seq: 1, at: 0 } as const;
        index.find({ ...change, before: null, after: row }, found);
        expect([...found].toSorted()).toEqual(
          reads
            .filter(({ isLeft, read }) => isLeft && read.owner.endsWith(` ${changed}`))
            .map(({ read }) => read.owner)
            .toSorted(),
        );
      },
    ),
  );
});
