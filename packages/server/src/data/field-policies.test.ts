// Compares field policies with a naive implementation: a caller reads the rows without the fields
// that it may not read, and a query that uses such a field is rejected.
import { PylonError } from "@pylonsync/protocol";
import { QueryError } from "@pylonsync/query";
import { buildManifest, entity, field, policy, relation } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import type { StoredRow } from "../store/store.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";

const staff = buildManifest({
  name: "staff",
  version: "1.0.0",
  entities: [
    entity(
      "Person",
      {
        name: field.string(),
        salary: field.int().optional(),
        level: field.int().default(1),
        bossId: field.string().optional(),
        userId: field.string(),
      },
      {
        relations: [
          relation({ name: "boss", target: "Person", field: "bossId" }),
          relation({ name: "team", target: "Person", field: "bossId", many: true }),
        ],
        search: { fields: ["name"], facets: ["level", "salary"], sort: ["salary", "level"] },
      },
    ),
  ],
  policies: [
    policy({
      name: "people",
      entity: "Person",
      allowRead: 'data.level < 3 || auth.hasRole("hr")',
      allowWrite: "true",
      fields: {
        salary: {
          allowRead: 'auth.hasRole("hr") || auth.claims.audit == true',
          allowWrite: 'auth.hasRole("hr")',
        },
        level: { allowUpdate: "data.level <= old.level && old.userId == auth.userId" },
        bossId: { allowRead: "auth.userId != null" },
      },
    }),
  ],
});

const CALLERS: readonly Caller[] = [
  ANONYMOUS,
  user("u1"),
  { ...user("u2"), roles: ["hr"] },
  { ...user("u3"), claims: { audit: true } },
  ADMIN,
];
const isHr = ({ isAdmin, roles }: Caller): boolean => isAdmin || roles.includes("hr");
const closedTo = (caller: Caller): string[] => [
  ...(isHr(caller) || caller.claims["audit"] === true ? [] : ["salary"]),
  ...(caller.isAdmin || caller.userId !== null ? [] : ["bossId"]),
];
const shown = (row: StoredRow, closed: readonly string[]): StoredRow => ({
  ...Object.fromEntries(Object.entries(row).filter(([name]) => !closed.includes(name))),
  id: row.id,
});

const people = fc.array(
  fc.record({
    name: fc.constantFrom("ann", "bob"),
    salary: fc.option(fc.nat(3)),
    level: fc.integer({ min: 1, max: 3 }),
    bossId: fc.option(fc.constantFrom("p0", "p1", "p9")),
    userId: fc.constantFrom("u1", "u2"),
  }),
  { maxLength: 6 },
);

/** Kinds of queries: the fields that they use, and their results. */
const QUESTIONS: readonly {
  readonly by: readonly string[];
  readonly ask: (app: AppData, caller: Caller) => Promise<unknown>;
  readonly answer: (rows: readonly StoredRow[], closed: readonly string[]) => unknown;
}[] = [
  {
    by: [],
    ask: (app, caller) => app.reads(caller).list("Person"),
    answer: (rows, closed) => rows.map((row) => shown(row, closed)),
  },
  {
    by: ["salary"],
    ask: (app, caller) => app.reads(caller).query("Person", { $or: [{ salary: { $gt: 1 } }] }),
    answer: (rows, closed) =>
      rows.filter(({ salary }) => Number(salary) > 1).map((row) => shown(row, closed)),
  },
  {
    by: ["salary"],
    ask: async (app, caller) =>
      (await app.reads(caller).paginate("Person", { order: { salary: "asc", id: "asc" } })).page
        .length,
    answer: (rows) => rows.length,
  },
  {
    by: ["salary"],
    ask: (app, caller) => app.reads(caller).aggregate("Person", { sum: ["salary"] }),
    answer: (rows) => [
      {
        sum_salary: rows.some(({ salary }) => salary !== null)
          ? rows.reduce((sum, { salary }) => sum + Number(salary), 0)
          : null,
      },
    ],
  },
  {
    by: ["salary"],
    ask: (app, caller) => app.reads(caller).lookup("Person", "salary", 7),
    answer: () => null,
  },
  {
    by: ["salary"],
    ask: async (app, caller) =>
      (await app.reads(caller).search("Person", { sort: ["salary", "asc"] })).total,
    answer: (rows) => rows.length,
  },
  {
    by: [],
    ask: async (app, caller) =>
      Object.keys((await app.reads(caller).search("Person", {})).facetCounts),
    answer: (_rows, closed) => ["level", "salary"].filter((name) => !closed.includes(name)),
  },
  {
    by: ["bossId"],
    ask: (app, caller) => app.reads(caller).query("Person", { $include: { team: true } }),
    answer: (rows, closed) =>
      rows.map((row) => ({
        ...shown(row, closed),
        team: rows.filter(({ bossId }) => bossId === row.id).map((one) => shown(one, closed)),
      })),
  },
  {
    by: [],
    ask: (app, caller) => app.reads(caller).query("Person", { $include: { boss: true } }),
    answer: (rows, closed) =>
      rows.map((row) => {
        const boss = closed.includes("bossId") ? null : rows.find(({ id }) => id === row["bossId"]);
        return { ...shown(row, closed), boss: boss ? shown(boss, closed) : null };
      }),
  },
  {
    by: ["bossId", "salary"],
    ask: async (app, caller) => {
      const spec = { count: true, groupBy: ["boss.salary"] };
      return (await app.reads(caller).aggregate("Person", spec)).map(({ count, ...group }) => [
        group["boss.salary"],
        count,
      ]);
    },
    answer: (rows) => {
      const salaryOf = ({ bossId }: (typeof rows)[number]): unknown =>
        rows.find(({ id }) => id === bossId)?.["salary"] ?? null;
      const groups = Map.groupBy(rows, salaryOf);
      return [...groups]
        .map(([salary, group]) => [salary, group.length])
        .toSorted(([one], [other]) => Number(one ?? Infinity) - Number(other ?? Infinity));
    },
  },
  {
    by: ["bossId", "salary"],
    ask: (app, caller) =>
      app.reads(caller).query("Person", { boss: { salary: { $gte: 0 } }, $limit: 9 }),
    answer: (rows, closed) =>
      rows
        .filter(
          ({ bossId }) => typeof rows.find(({ id }) => id === bossId)?.["salary"] === "number",
        )
        .map((row) => shown(row, closed)),
  },
];

for (const database of ["sqlite", "postgres"] as const) {
  let app: AppData;
  beforeAll(async () => {
    app = await openAppData(staff, { database });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test(`T2: ${database} returns rows without unreadable fields, and nothing by them`, async () => {
    await fc.assert(
      fc.asyncProperty(people, async (drawn) => {
        await app.clear();
        const all = drawn.map((row, index) => ({ id: `p${index}`, ...row }));
        await app.committer.commit({ caller: ADMIN, policies: "bypassed" }, async (writer) => {
          for (const { id, ...row } of all) await writer.insert("Person", row, id);
        });
        for (const caller of CALLERS) {
          const closed = closedTo(caller);
          const rows = all.filter(({ level }) => level < 3 || isHr(caller));
          for (const { by, ask, answer } of QUESTIONS) {
            const outcome = await ask(app, caller).catch((error: unknown) => error);
            if (!by.some((name) => closed.includes(name))) {
              expect(outcome).toEqual(answer(rows, closed));
              continue;
            }
            const isRefused = outcome instanceof QueryError || outcome instanceof PylonError;
            expect(isRefused && outcome.code).toBe("INVALID_COLUMN");
          }
        }
      }),
      { numRuns: database === "sqlite" ? 60 : 15 },
    );
  }, 60_000);

  test(`${database}: an unwritable field is named, and nothing is written`, async () => {
    await app.clear();
    const row = { name: "ann", salary: 5, level: 2, userId: "u1" };
    await app.committer.commit({ caller: ADMIN, policies: "enforced" }, (writer) =>
      writer.insert("Person", row, "p"),
    );
    const as = (caller: Caller, data: object): Promise<unknown> =>
      app.committer
        .commit({ caller, policies: "enforced" }, (writer) => writer.update("Person", "p", data))
        .then(
          () => "done",
          (error: unknown) =>
            error instanceof PylonError ? `${error.code} ${error.field}` : error,
        );
    const [ann, bob, hr] = [user("u1"), user("u9"), { ...user("u2"), roles: ["hr"] }];
    expect(await as(ann, { name: "a", salary: 6 })).toBe("POLICY_DENIED salary");
    // A different response for the current value would reveal it.
    expect(await as(ann, { salary: 5 })).toBe("POLICY_DENIED salary");
    expect(await as(ann, { salary: { $increment: 1 } })).toBe("POLICY_DENIED salary");
    expect(await as(ann, { level: 3 })).toBe("POLICY_DENIED level");
    expect(await as(bob, { level: 1 })).toBe("POLICY_DENIED level");
    expect(await as(ann, { level: 1, name: "anna" })).toBe("done");
    expect(await as(hr, { salary: { $increment: 1 } })).toBe("done");
    const insert = (caller: Caller, data: object): Promise<unknown> =>
      app.committer
        .commit({ caller, policies: "enforced" }, (writer) => writer.insert("Person", data))
        .catch((error: unknown) => (error instanceof PylonError ? error.field : error));
    expect(await insert(ann, row)).toBe("salary");
    expect(await app.reads(undefined).list("Person")).toEqual([
      { ...row, id: "p", name: "anna", level: 1, salary: 6, bossId: null },
    ]);
    const guess = { ifUnchanged: { salary: 6 } };
    const guessed = app.committer.commit({ caller: ann, policies: "enforced" }, (writer) =>
      writer.update("Person", "p", { name: "x" }, guess),
    );
    expect(guessed).rejects.toMatchObject({ code: "INVALID_COLUMN", field: "salary" });
  });
}
