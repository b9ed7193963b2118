import { MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import { compareValues, compilePredicate, parseFilter, parsePolicy } from "@pylonsync/query";
import { buildManifest, entity, field, policy, relation } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow } from "../store/store.ts";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import type { Reads } from "./reads.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";

const READ = "data.shared || auth.userId == data.ownerId";
const manifest = buildManifest({
  name: "reads",
  version: "1.0.0",
  entities: [
    entity(
      "Note",
      {
        title: field.string(),
        rank: field.int().optional(),
        ownerId: field.string(),
        shared: field.bool(),
        parentId: field.id("Note").optional(),
      },
      {
        relations: [
          relation({ name: "parent", target: "Note", field: "parentId" }),
          relation({ name: "children", target: "Note", field: "parentId", many: true }),
        ],
      },
    ),
  ],
  policies: [policy({ name: "own", entity: "Note", allowRead: READ })],
});

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

const NO_ROW = "no-such-row";
const ids = fc.constantFrom("a", "b", "c", "d", "e", "f");
const rows: fc.Arbitrary<StoredRow[]> = fc
  .uniqueArray(
    fc.record({
      id: ids,
      title: fc.constantFrom("milk", "bread", "Milk"),
      rank: fc.option(fc.integer({ min: -2, max: 2 })),
      ownerId: fc.constantFrom("ann", "bob"),
      shared: fc.boolean(),
      parentId: fc.option(ids),
    }),
    { selector: ({ id }) => id },
  )
  .map((found) => found.toSorted((a, b) => compareValues(a.id, b.id)));
const callers = fc.constantFrom<Caller | undefined>(
  user("ann"),
  user("bob"),
  ANONYMOUS,
  ADMIN,
  undefined,
);
const filters = fc.record(
  {
    title: fc.constantFrom("milk", { $like: "il" }, { $in: ["bread", "Milk"] }),
    rank: fc.constantFrom(0, null, { $gt: 0 }, { $ne: 1 }),
    shared: fc.boolean(),
  },
  { requiredKeys: [] },
);

const allowed = compilePredicate(parsePolicy(READ));

/** The rows that the caller may read, found without a database. */
function visibleTo(caller: Caller | undefined, all: readonly StoredRow[]): StoredRow[] {
  return all.filter(
    (data) => caller === undefined || caller.isAdmin || allowed({ data, auth: caller }),
  );
}

/** Runs a check on a database with exactly these rows. */
async function against(
  all: readonly StoredRow[],
  caller: Caller | undefined,
  check: (reads: Reads, visible: readonly StoredRow[]) => Promise<void>,
): Promise<void> {
  await app.clear();
  await app.store.transact(async (tx) => {
    for (const row of all) await tx.insert("Note", row);
  });
  await check(app.reads(caller), visibleTo(caller, all));
}

const RUNS = { numRuns: 25 };

test("get, list, lookup and pages return what the caller may read", async () => {
  await fc.assert(
    fc.asyncProperty(rows, callers, fc.integer({ min: 1, max: 4 }), async (all, caller, size) => {
      await against(all, caller, async (reads, visible) => {
        expect<unknown>(await reads.list("Note")).toEqual(visible);
        for (const id of [...all.map((row) => row.id), NO_ROW, "not an id!"])
          expect<unknown>(await reads.get("Note", id)).toEqual(
            visible.find((row) => row.id === id) ?? null,
          );
        for (const title of ["milk", "nothing"])
          expect<unknown>(await reads.lookup("Note", "title", title)).toEqual(
            visible.find((row) => row["title"] === title) ?? null,
          );
        expect(await reads.lookup("Note", "rank", null)).toBeNull();

        const paged: StoredRow[] = [];
        let cursor: string | null = null;
        for (let isDone = false; !isDone;) {
          const page = await reads.paginate("Note", { cursor, numItems: size });
          expect(page.page.length).toBeLessThanOrEqual(size);
          paged.push(...page.page);
          ({ nextCursor: cursor, isDone } = page);
          expect(cursor === null).toBe(isDone);
        }
        expect<unknown>(paged).toEqual(visible);

        const { rows: first, hasMore } = await reads.listPage("Note", size, 1);
        expect<unknown>(first).toEqual(visible.slice(1, 1 + size));
        expect(hasMore).toBe(visible.length > 1 + size);
      });
    }),
    RUNS,
  );
});

test("filters, counts and aggregates see the rows that the caller may read", async () => {
  await fc.assert(
    fc.asyncProperty(rows, callers, filters, async (all, caller, filter) => {
      const matches = compilePredicate(parseFilter(filter, app.model.entity("Note").shape).where);
      await against(all, caller, async (reads, visible) => {
        const found = visible.filter((data) => matches({ data }));
        expect<unknown>(await reads.query("Note", filter)).toEqual(found);
        expect(await reads.count("Note", filter)).toBe(found.length);
        const groups = await reads.aggregate("Note", {
          count: true,
          sum: ["rank"],
          groupBy: ["ownerId"],
          where: filter,
        });
        const owners = [...new Set(found.map((row) => String(row["ownerId"])))].toSorted();
        expect<unknown>(groups).toEqual(
          owners.map((ownerId) => {
            const own = found.filter((row) => row["ownerId"] === ownerId);
            const ranks = own.map((row) => row["rank"]).filter((rank) => typeof rank === "number");
            const sum = ranks.length === 0 ? null : ranks.reduce((a, b) => a + b, 0);
            return { ownerId, count: own.length, sum_rank: sum };
          }),
        );
      });
    }),
    RUNS,
  );
});

test("a graph returns rows with the related rows that the caller may read", async () => {
  await fc.assert(
    fc.asyncProperty(rows, callers, async (all, caller) => {
      await against(all, caller, async (reads, visible) => {
        const { Note } = await reads.queryGraph({
          Note: { include: { parent: {}, children: true } },
        });
        expect<unknown>(Note).toEqual(
          visible.map((row) => ({
            ...row,
            parent: visible.find(({ id }) => id === row["parentId"]) ?? null,
            children: visible.filter(({ parentId }) => parentId === row.id),
          })),
        );
      });
    }),
    RUNS,
  );
});

test("an invalid query is rejected with its place", async () => {
  const reads = app.reads(user("ann"));
  const cases: readonly [() => Promise<unknown>, string, string | undefined][] = [
    [() => reads.list("Nothing"), "ENTITY_NOT_FOUND", "entity"],
    [() => reads.query("Note", { titel: "x" }), "INVALID_COLUMN", "titel"],
    [() => reads.query("Note", { $search: "x" }), "SEARCH_NOT_CONFIGURED", "entity"],
    [() => reads.lookup("Note", "titel", "x"), "INVALID_COLUMN", "titel"],
    [() => reads.lookup("Note", "titel", null), "INVALID_COLUMN", "titel"],
    [() => reads.paginate("Note", { numItems: Number.NaN }), "INVALID_QUERY", "numItems"],
    [() => reads.aggregate("Note", {}), "INVALID_QUERY", ""],
    [() => reads.queryGraph([]), "INVALID_QUERY", ""],
    [() => reads.queryGraph({ Note: { wher: {} } }), "INVALID_QUERY", "Note.wher"],
    [
      () => reads.queryGraph({ Note: { include: { owner: {} } } }),
      "RELATION_NOT_FOUND",
      "Note.include.owner",
    ],
    [
      () => reads.queryGraph({ Note: { include: { parent: { include: { owner: {} } } } } }),
      "RELATION_NOT_FOUND",
      "Note.include.parent.include.owner",
    ],
    [() => reads.queryGraph({ Note: { limit: MAX_PAGE_SIZE + 1 } }), "INVALID_QUERY", "Note.limit"],
  ];
  for (const [ask, code, place] of cases) {
    const error = await Promise.resolve()
      .then(ask)
      .then(
        () => null,
        (thrown: unknown) => thrown,
      );
    expect(error).toMatchObject({ code });
    if (error instanceof PylonError) expect(error.field).toBe(place);
  }
});
