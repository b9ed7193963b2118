import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { literal, path, type Expr } from "@pylonsync/query";
import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import type { DataFacts } from "../schema/data-facts.ts";
import { planMigration } from "../schema/diff.ts";
import { toStored } from "../schema/stored-manifest.ts";
import { systemPlatform } from "../platform.ts";
import { fillRows } from "./fill-rows.ts";
import { inspectData } from "./inspect-data.ts";
import type {
  ChangeRecord,
  NewChange,
  RowPlace,
  RowUpdate,
  Store,
  StoredRow,
  Transaction,
  Value,
} from "./store.ts";

const manifest = buildManifest({
  name: "suite",
  version: "1.0.0",
  entities: [
    entity(
      "Thing",
      {
        text: field.string().optional(),
        n: field.int().optional(),
        f: field.float().optional(),
        cost: field.decimal(20, 4).optional(),
        ok: field.bool().optional(),
        at: field.datetime().optional(),
        code: field.string().unique().optional(),
      },
      { indexes: [{ name: "by_n", fields: ["n"], unique: false }] },
    ),
    entity("Entry", {
      text: field.string().optional(),
      n: field.int().optional(),
      ok: field.bool().optional(),
      at: field.datetime().optional(),
      data: field.json().optional(),
      tags: field.array(field.string()).optional(),
    }),
  ],
});

const EMPTY = { text: null, n: null, f: null, cost: null, ok: null, at: null, code: null };

function thing(
  id: string,
  fields: Partial<typeof EMPTY> | Record<string, unknown> = {},
): StoredRow {
  return { id, ...EMPTY, ...fields };
}

function inserted(row: StoredRow): NewChange {
  return { entity: "Thing", rowId: row.id, kind: "insert", before: null, after: row, at: 1 };
}

function compare(
  op: "==" | "<" | ">",
  name: string,
  value: string | number | boolean | null,
): Expr {
  return { kind: "compare", op, left: path("data", name), right: literal(value) };
}

/** The behavior that every Store must have. Run it for each database. */
export function storeSuite(
  name: string,
  open: () => Promise<{
    readonly store: Store;
    readonly reopen: () => Promise<Store>;
    readonly remove: () => Promise<void>;
  }>,
): void {
  describe(`the store on ${name}`, () => {
    let store: Store;
    let reopen: () => Promise<Store>;
    let remove: () => Promise<void> = async () => undefined;

    beforeEach(async () => {
      ({ store, reopen, remove } = await open());
      await migrate(store, null, manifest);
    });
    afterEach(() => remove());

    async function add(...rows: StoredRow[]): Promise<void> {
      await store.transact(async (tx) => {
        for (const row of rows) {
          await tx.insert("Thing", row);
          await tx.append(inserted(row));
        }
      });
    }

    /** The log as `1a 2b`: numbers and rows. */
    async function logged(): Promise<string[]> {
      await store.bounds();
      return (await store.changes(0, 100)).map(({ rowId, seq }) => `${seq}${rowId}`);
    }

    test("returns inserted values, each kind as in JSON", async () => {
      const row = thing("a", {
        text: 'it\'s "quoted" \\ and 😀',
        n: Number.MAX_SAFE_INTEGER,
        f: -0.5,
        ok: false,
        at: "2026-01-31T12:00:00.000Z",
        code: "",
      });
      await add(row, thing("b"));
      expect(await store.get("Thing", "a")).toEqual(row);
      expect(await store.get("Thing", "b")).toEqual(thing("b"));
      expect(await store.get("Thing", "c")).toBeNull();
    });

    test.each(["serializable", "snapshot"] as const)(
      "reads the same in a transaction, with and without parameters: %s",
      async (isolation) => {
        const row = thing("a", { n: 7, at: "2026-01-31T12:00:00.000Z" });
        await add(row);
        for (const where of [undefined, compare("==", "id", "a")]) {
          const read = (): Promise<unknown[]> =>
            store.transact(
              async (tx) => [
                await tx.select({ entity: "Thing", where }),
                await tx.count("Thing", where),
              ],
              { isolation },
            );
          expect([await read(), await read()]).toEqual([
            [[row], 1],
            [[row], 1],
          ]);
        }
      },
    );

    test("orders nulls last ascending, texts by code point, ties by id", async () => {
      await add(
        thing("1", { text: "b", n: 2 }),
        thing("2", { n: 1 }),
        thing("3", { text: "a", n: 1 }),
        thing("4", { text: "B", n: 1 }),
        thing("5", { text: "\uffff" }),
        thing("6", { text: "😀" }),
      );
      const ids = async (direction: "asc" | "desc", by = "text"): Promise<string> =>
        (await store.select({ entity: "Thing", order: [{ field: by, direction }] }))
          .map(({ id }) => id)
          .join("");
      expect(await ids("asc")).toBe("431562");
      expect(await ids("desc")).toBe("265134");
      expect(await ids("asc", "n")).toBe("234156");
    });

    test("pages with limit and offset, and with either alone", async () => {
      await add(...["1", "2", "3", "4"].map((id) => thing(id)));
      const ids = async (page: { limit?: number; offset?: number }): Promise<string> =>
        (await store.select({ entity: "Thing", ...page })).map(({ id }) => id).join("");
      expect([
        await ids({ limit: 2 }),
        await ids({ offset: 3 }),
        await ids({ limit: 2, offset: 1 }),
        await ids({ limit: 0 }),
        await ids({}),
      ]).toEqual(["12", "4", "23", "", "1234"]);
    });

    test("counts and aggregates, in groups and in buckets of time", async () => {
      await add(
        thing("1", { n: 2, ok: true, at: "2026-02-01T00:30:00.000Z" }),
        thing("2", { n: 4, ok: true, at: "2026-02-28T23:59:59.999Z" }),
        thing("3", { n: 6, ok: false, at: "2026-03-02T00:00:00.000Z" }),
        thing("4"),
      );
      expect(await store.count("Thing", compare(">", "n", 2))).toBe(2);
      const sums = await store.aggregate({
        entity: "Thing",
        groupBy: [{ field: "ok", as: "ok" }],
        measures: [
          { fn: "sum", field: "n", as: "sum" },
          { fn: "count", as: "count" },
        ],
        where: compare(">", "n", 0),
      });
      expect(sums).toEqual([
        { ok: false, sum: 6, count: 1 },
        { ok: true, sum: 6, count: 2 },
      ]);
      for (const [bucket, starts] of [
        ["month", ["2026-02-01", "2026-03-01"]],
        ["week", ["2026-01-26", "2026-02-23", "2026-03-02"]],
        ["year", ["2026-01-01"]],
      ] as const) {
        const rows = await store.aggregate({
          entity: "Thing",
          groupBy: [{ field: "at", bucket, as: "at" }],
          measures: [{ fn: "count", as: "count" }],
          where: compare(">", "n", 0),
        });
        expect(rows.map(({ at }) => at)).toEqual(starts.map((day) => `${day}T00:00:00.000Z`));
      }
    });

    test("rejects a second row with the same id or unique value, naming the field", async () => {
      await add(thing("a", { code: "x" }), thing("n1"), thing("n2"));
      await expect(store.transact((tx) => tx.insert("Thing", thing("a")))).rejects.toMatchObject({
        code: "ID_TAKEN",
      });
      await expect(
        store.transact((tx) => tx.insert("Thing", thing("b", { code: "x" }))),
      ).rejects.toMatchObject({ code: "UNIQUE_VIOLATION", field: "code" });
      await expect(
        store.transact((tx) => tx.update("Thing", "n1", { code: "x" })),
      ).rejects.toMatchObject({ code: "UNIQUE_VIOLATION", field: "code" });
      expect(await store.count("Thing")).toBe(3);
    });

    test("work that throws is rolled back; concurrent work is kept", async () => {
      const results = await Promise.allSettled([
        add(thing("a")),
        store.transact(async (tx) => {
          await tx.insert("Thing", thing("b"));
          await tx.append(inserted(thing("b")));
          throw new Error("no");
        }),
        add(thing("c")),
      ]);
      expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect((await store.select({ entity: "Thing" })).map(({ id }) => id)).toEqual(["a", "c"]);
      // Which of the two comes first is not specified.
      const log = await logged();
      expect([
        log.map((text) => text.slice(0, 1)),
        log.map((text) => text.slice(1)).toSorted(),
      ]).toEqual([
        ["1", "2"],
        ["a", "c"],
      ]);
    });

    test("a part that fails is rolled back, and the rest of the work continues", async () => {
      await store.transact(async (tx) => {
        await tx.insert("Thing", thing("a"));
        const part = tx.attempt(async () => {
          await tx.insert("Thing", thing("b"));
          await tx.append(inserted(thing("b")));
          throw new Error("no");
        });
        await expect(part).rejects.toThrow("no");
        await part.catch(() => undefined);
        await tx.insert("Thing", thing("c"));
        await tx.append(inserted(thing("c")));
      });
      expect((await store.select({ entity: "Thing" })).map(({ id }) => id)).toEqual(["a", "c"]);
      expect(await logged()).toEqual(["1c"]);
    });

    test("reads in a transaction see its writes; reads outside see committed data", async () => {
      await store.transact(async (tx) => {
        await tx.insert("Thing", thing("a", { n: 1 }));
        await tx.update("Thing", "a", { n: 2 });
        expect(await tx.get("Thing", "a")).toMatchObject({ n: 2 });
        expect(await store.get("Thing", "a")).toBeNull();
      });
      expect(await store.get("Thing", "a")).toMatchObject({ n: 2 });
    });

    test("aborted work is rolled back, and its transaction is unusable", async () => {
      const abort = new AbortController();
      let late: (() => Promise<void>) | undefined;
      const work = store.transact(
        async (tx) => {
          late = () => tx.insert("Thing", thing("late"));
          await tx.insert("Thing", thing("a"));
          abort.abort(new Error("too late"));
          await new Promise(() => undefined);
        },
        { signal: abort.signal },
      );
      await expect(work).rejects.toThrow("too late");
      await work.catch(() => undefined);
      await add(thing("b"));
      await expect(late?.()).rejects.toThrow();
      expect((await store.select({ entity: "Thing" })).map(({ id }) => id)).toEqual(["b"]);
    });

    test("update and delete return whether the row existed", async () => {
      await add(thing("a"));
      const answers = await store.transact(async (tx) => [
        await tx.update("Thing", "a", { n: 1 }),
        await tx.update("Thing", "x", { n: 1 }),
        await tx.update("Thing", "a", {}),
        await tx.delete("Thing", "a"),
        await tx.delete("Thing", "a"),
        await tx.deleteWhere("Thing", compare("==", "n", 1)),
      ]);
      expect(answers).toEqual([true, false, true, true, false, 0]);
    });

    test("followers receive every committed change once, in order, with both images", async () => {
      const heard: ChangeRecord[] = [];
      const stop = store.follow((changes) => heard.push(...changes));
      await Promise.all(Array.from({ length: 20 }, (_, n) => add(thing(`t${n}`))));
      await store.settle();
      expect(heard.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
      expect(heard).toEqual(await store.changes(0, 100));
      stop();
      await add(thing("unheard"));
      await store.settle();
      expect(heard).toHaveLength(20);
    });

    test("followers receive a transaction in one call, regardless of its size", async () => {
      const sizes = [3, 2_500, 1, 6_000, 2];
      const names = sizes.map((_, index) => `batch${index}`);
      const batches: (readonly ChangeRecord[])[] = [];
      const stop = store.follow((changes) => batches.push(changes));
      const ofName = (changes: readonly ChangeRecord[], name: string): number =>
        changes.filter(({ rowId }) => rowId.startsWith(`${name}-`)).length;
      await Promise.all(
        sizes.map((size, index) =>
          store.transact(async (tx) => {
            for (let n = 0; n < size; n += 1)
              await tx.append(inserted(thing(`${names[index] ?? ""}-${n}`)));
          }),
        ),
      );
      await store.settle();
      stop();
      for (const [index, name] of names.entries())
        expect(
          batches.map((changes) => ofName(changes, name)).filter((count) => count > 0),
        ).toEqual([sizes[index] ?? 0]);
    }, 30_000);

    test("the log keeps head, epoch and numbering when it is trimmed and reopened", async () => {
      await add(...Array.from({ length: 10 }, (_, n) => thing(`t${n}`)));
      const { epoch } = await store.bounds();
      await store.trimLog(3);
      expect(await store.bounds()).toEqual({ epoch, head: 10, floor: 7 });
      store = await reopen();
      expect(await store.bounds()).toEqual({ epoch, head: 10, floor: 7 });
      await store.trimLog(0);
      await add(thing("next"));
      expect(await store.bounds()).toMatchObject({ head: 11 });
    });

    test("erases the contents of deleted rows, and nothing of the others", async () => {
      await add(
        thing("gone", { text: "a secret", n: 1, ok: true }),
        thing("stays", { text: "shown", n: 1 }),
      );
      await store.transact(async (tx) => {
        const before = thing("gone", { text: "a secret", n: 1, ok: true });
        const after = { ...before, text: "another secret", n: 2 };
        await tx.append({ entity: "Thing", rowId: "gone", kind: "update", before, after, at: 1 });
        await tx.append({
          entity: "Thing",
          rowId: "gone",
          kind: "delete",
          before: after,
          after: null,
          at: 1,
        });
        // Another row with the same id.
        await tx.append(inserted(thing("gone", { text: "a successor" })));
      });
      const { head } = await store.bounds();
      expect(await store.forgetDeleted("Thing", ["text", "f", "cost", "at", "code"], 0)).toBe(head);
      const left = { n: 1, ok: true, id: "gone" };
      expect(
        (await store.changes(0, 10)).map(({ rowId, kind, before, after }) => [
          rowId,
          kind,
          before,
          after,
        ]),
      ).toEqual([
        ["gone", "delete", left, null],
        ["stays", "insert", null, thing("stays", { text: "shown", n: 1 })],
        ["gone", "delete", left, null],
        ["gone", "delete", { ...left, n: 2 }, null],
        ["gone", "insert", null, thing("gone", { text: "a successor" })],
      ]);
      expect(await store.forgetDeleted("Thing", ["n"], head)).toBe(head);
      expect((await store.changes(0, 1))[0]?.before).toEqual(left);
    });

    test("a new log invalidates the cursors of the old one, and continues from there", async () => {
      await add(thing("a"), thing("b"), thing("c"));
      const old = await store.bounds();
      await store.renewLog();
      store = await reopen();
      const renewed = await store.bounds();
      expect(renewed.epoch).not.toBe(old.epoch);
      // Below the floor: a client with a cursor of the old log loads a new snapshot, even if the
      // backup did not contain the cursor's change.
      expect(renewed.floor).toBeGreaterThan(old.head + 1_000_000);
      await add(thing("d"));
      const { head } = await store.bounds();
      expect(head).toBe(renewed.head + 1);
      expect((await store.changes(renewed.head, 10)).map(({ seq, rowId }) => [seq, rowId])).toEqual(
        [[head, "d"]],
      );
      expect((await store.select({ entity: "Thing" })).map(({ id }) => id)).toEqual([
        "a",
        "b",
        "c",
        "d",
      ]);
    });

    test("adds entities, fields with defaults and indexes, and drops as requested", async () => {
      await add(thing("a", { n: 1, text: "5" }));
      const wider = buildManifest({
        name: "suite",
        version: "2.0.0",
        entities: [
          entity("Thing", {
            text: field.int().optional(),
            rank: field.int().default(7),
            name: field.string().default("it's"),
          }),
          entity("Other", { x: field.bool() }),
        ],
      });
      await migrate(store, manifest, wider);
      expect(await store.get("Thing", "a")).toEqual({
        id: "a",
        text: 5,
        rank: 7,
        name: "it's",
      } as unknown as StoredRow);
      expect(await store.count("Other")).toBe(0);
      expect(JSON.parse((await store.storedManifest()) ?? "")).toEqual(
        JSON.parse(JSON.stringify(wider)),
      );
      store = await reopen();
      expect(await store.get("Thing", "a")).toMatchObject({ rank: 7 });
    });

    test("Q2: a default is stored in the form of dates; now is the time of the write", async () => {
      const before = Date.now();
      await add(thing("old", {}));
      const dated = thingsWith({
        since: field.datetime().default("now"),
        from: field.datetime().default("2026-01-01"),
      });
      await migrate(store, manifest, dated);
      const row = (await store.get("Thing", "old")) as unknown as Record<string, string>;
      expect(row["from"]).toBe("2026-01-01T00:00:00.000Z");
      expect(row["since"]).toBe(new Date(row["since"] ?? "").toISOString());
      // The database may be on another machine, with another clock.
      expect(Math.abs(Date.parse(row["since"] ?? "") - before)).toBeLessThan(60_000);
      const isFrom = (value: string): Expr => ({
        kind: "compare",
        op: "==",
        left: path("data", "since"),
        right: literal(value),
      });
      expect(await store.count("Thing", isFrom(row["since"] ?? ""))).toBe(1);
      const stored = toStored(dated);
      expect(planMigration(stored, dated).migration.steps).toEqual([]);
      // As a column of a new table.
      const fresh = buildManifest({
        name: "suite",
        version: "3.0.0",
        entities: [...dated.entities, entity("Fresh", { at: field.datetime().default("now") })],
      } as never) as Manifest;
      await migrate(store, stored, fresh);
      await store.transact((tx) => tx.insert("Fresh", { id: "a", at: "2026-01-01T00:00:00.000Z" }));
      expect(await store.count("Fresh")).toBe(1);
    });

    test("a uuid default is different in each row, existing and new ones", async () => {
      await add(thing("a", {}), thing("b", {}));
      const keyed = thingsWith({ key: field.string().default("uuid").unique() });
      const facts = await inspectData(store, keyed);
      expect(planMigration(manifest, keyed, facts).problems).toEqual([]);
      await migrate(store, manifest, keyed, facts);
      await fillRows(store, keyed, { platform: systemPlatform });
      const fresh: Manifest = {
        ...keyed,
        entities: [
          ...keyed.entities,
          entity("Keyed", { n: field.int(), key: field.string().default("uuid") }),
        ],
      };
      await migrate(store, keyed, fresh);
      // As an older version of the app would write, which does not know the field.
      await store.transact((tx) => tx.insert("Keyed", { id: "a", n: 1 }));
      const rows = [
        ...(await store.select({ entity: "Thing" })),
        ...(await store.select({ entity: "Keyed" })),
      ];
      const keys = rows.map((row) => row["key"]);
      expect(new Set(keys).size).toBe(3);
      for (const key of keys)
        expect(key).toMatch(
          /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
        );
    });

    test("a json and an array are stored unchanged, and as a default", async () => {
      await add(thing("a", { text: '{"a":[1]}' }), thing("b", { text: "no json" }));
      const nested = thingsWith({
        text: field.json().optional(),
        tags: field.array(field.string()).default(["it's", "\u{1F600}"]),
      });
      await migrate(store, manifest, nested);
      expect(await store.select({ entity: "Thing" })).toMatchObject([
        { id: "a", text: { a: [1] }, tags: ["it's", "\u{1F600}"] },
        { id: "b", text: null },
      ]);
      const value: Value = { b: [null, 1e21, "\u{1F600}"], a: {} };
      await add({ ...thing("c", { text: null }), text: value, tags: [] });
      await store.transact((tx) => tx.update("Thing", "b", { text: [value], tags: ["x"] }));
      expect(await store.get("Thing", "c")).toMatchObject({ text: value, tags: [] });
      expect(await store.get("Thing", "b")).toMatchObject({ text: [value], tags: ["x"] });
      const back = thingsWith({ text: field.string().optional() });
      await migrate(store, nested, back);
      expect((await store.get("Thing", "c"))?.["text"]).toBe(JSON.stringify(value));
    });

    test("rows that refer to a nonexistent row are counted", async () => {
      const holder = (field_: ReturnType<typeof field.id>): Manifest => ({
        ...manifest,
        entities: [
          ...manifest.entities,
          entity("Holder", { thing: field_.optional(), other: field.id("Thing").optional() }),
        ],
      });
      const before = holder(field.id("Thing"));
      await migrate(store, manifest, before);
      await add(thing("a", {}));
      await store.transact(async (tx) => {
        for (const [n, id] of ["a", "b", null, "c"].entries())
          await tx.insert("Holder", { id: `h${n}`, thing: id, other: "x" });
      });
      const checked = holder(field.id("Thing", { onDelete: "setNull" }));
      const facts = await inspectData(store, checked);
      expect(facts.orphans).toEqual(
        new Map([["Holder.thing", { target: "Thing", rows: 2, example: "h1" }]]),
      );
      const { problems, notices, migration } = planMigration(before, checked, facts);
      expect([problems, notices.map(({ code }) => code)]).toEqual([[], ["SCHEMA_ORPHANS"]]);
      expect(migration.steps).toMatchObject([
        { kind: "create_index", index: { name: "thing_reference", fields: ["thing"] } },
      ]);
      await migrate(store, before, checked, facts);
      // A start checks only new references; a plan checks all.
      expect((await inspectData(store, checked)).orphans.size).toBe(0);
      expect((await inspectData(store, checked, { allReferences: true })).orphans.size).toBe(1);
    });

    test("Q5: a new type gets equivalent values, and null for the others", async () => {
      await add(
        thing("a", { text: "12" }),
        thing("b", { text: "on request" }),
        thing("c", { text: "12.90" }),
        thing("d", { text: null }),
      );
      const retyped = thingsWith({ text: field.int().optional() });
      const facts = await inspectData(store, retyped);
      expect(facts.lost).toEqual(
        new Map([
          [
            "Thing.text",
            {
              count: 2,
              samples: ["on request", "12.90"],
              example: { id: "b", reason: "is not a value of the type int" },
            },
          ],
        ]),
      );
      await migrate(store, manifest, retyped, facts);
      const rows = await store.select({ entity: "Thing" });
      expect(rows.map(({ text }) => text)).toEqual([12, null, null, null] as Value[]);
    });

    test("Q5: without null, a value that has no conversion stops the migration", async () => {
      await add(thing("a", { text: "12" }), thing("b", { text: "soon" }));
      const retyped = thingsWith({ text: field.datetime() });
      const { problems } = planMigration(manifest, retyped, await inspectData(store, retyped));
      expect(problems.map(({ code }) => code)).toContain("SCHEMA_VALUES_NOT_CONVERTIBLE");
      await expect(migrate(store, manifest, retyped)).rejects.toThrow("can't be converted");
      expect(await store.get("Thing", "a")).toMatchObject({ text: "12" });
    });

    test("Q4: rows that violate a new unique index are found before it is created", async () => {
      await add(
        thing("a", { text: "x", n: 1 }),
        thing("b", { text: "x", n: 1 }),
        thing("c", { text: "y", n: 1 }),
        thing("d", { text: null, n: null }),
        thing("e", { text: null, n: null }),
      );
      const unique = thingsWith(
        { text: field.string().optional().unique(), n: field.int().optional() },
        [{ name: "pair", fields: ["n", "text"], unique: true }],
      );
      const facts = await inspectData(store, unique);
      expect(facts.duplicates).toEqual(
        new Map([
          ["Thing.pair", [{ values: [1, "x"], rows: 2 }]],
          ["Thing.text_unique", [{ values: ["x"], rows: 2 }]],
        ]),
      );
      const { problems } = planMigration(manifest, unique, facts);
      expect(problems.map(({ message }) => message)).toContain(
        'Thing.text is declared unique, but rows have the same value: "x" in 2 rows.',
      );
      await expect(migrate(store, manifest, unique)).rejects.toThrow("rows have the same values");
      await add(thing("f", { text: "x" }));
    });

    test("Q4: values that become equal in a new type are found before it is applied", async () => {
      const unique = thingsWith({ text: field.string().optional().unique() });
      await migrate(store, manifest, unique);
      await add(
        thing("a", { text: "5" }),
        thing("b", { text: "05" }),
        thing("c", { text: "x" }),
        thing("d", { text: "y" }),
        thing("e", { text: "7" }),
      );
      const retyped = thingsWith({ text: field.int().optional().unique() });
      const { problems } = planMigration(unique, retyped, await inspectData(store, retyped));
      expect(problems.map(({ message }) => message)).toEqual([
        "Thing.text is declared unique, but rows have the same value: 5 in 2 rows.",
      ]);
    });

    test("Q4: texts that are too long for a new index are found before it is created", async () => {
      await add(
        thing("a", { text: "é".repeat(1_300) }),
        thing("b", { text: "é".repeat(1_301) }),
        thing("c", { text: null }),
      );
      const text = field.string().optional();
      for (const indexed of [
        thingsWith({ text: text.unique() }),
        thingsWith({ text }, [{ name: "by_text", fields: ["text"], unique: false }]),
      ]) {
        const { problems } = planMigration(manifest, indexed, await inspectData(store, indexed));
        expect(problems.map(({ code, message }) => [code, message])).toEqual([
          [
            "SCHEMA_VALUES_TOO_LONG",
            "Thing.text is added to an index, which allows at most 2600 bytes, but 1 row has " +
              'a longer one, such as the row "b".',
          ],
        ]);
      }
    });

    test("Q4: a new unique field with a default is equal in all existing rows", async () => {
      await add(thing("a", {}), thing("b", {}));
      const unique = thingsWith({ rank: field.int().default(1).unique() });
      expect((await inspectData(store, unique)).duplicates.get("Thing.rank_unique")).toEqual([
        { values: [], rows: 2 },
      ]);
    });

    test("comparisons accept a text that no row can contain", async () => {
      await add(thing("1", { text: "a" }), thing("2", { text: "ab" }), thing("3", { text: "b" }));
      const ids = async (where: Expr): Promise<string> =>
        (await store.select({ entity: "Thing", where })).map(({ id }) => id).join("");
      expect([
        await ids(compare("==", "text", "a\0")),
        await ids(compare("<", "text", "a\0b")),
        await ids(compare(">", "text", "a\0b")),
        await ids(compare("==", "text", "\ud800")),
      ]).toEqual(["", "1", "23", ""]);
      const part = (kind: "contains" | "startsWith", text: string): Expr =>
        kind === "contains"
          ? { kind, text: path("data", "text"), part: literal(text) }
          : { kind, text: path("data", "text"), prefix: literal(text) };
      expect([
        await ids(part("contains", "\0")),
        await ids(part("startsWith", "a\0")),
        await ids(part("contains", "B")),
        await ids(part("startsWith", "a")),
      ]).toEqual(["", "", "", "12"]);
    });

    test("an int column compared with a fraction", async () => {
      await add(thing("1", { n: 1 }), thing("2", { n: 2 }));
      const ids = async (op: "==" | "<" | ">", n: number): Promise<string> =>
        (await store.select({ entity: "Thing", where: compare(op, "n", n) }))
          .map(({ id }) => id)
          .join("");
      expect([
        await ids("<", 1.5),
        await ids(">", 1.5),
        await ids("==", 1.5),
        await ids("<", 1e300),
        await ids(">", -1e300),
        await ids("<", 0.5),
        await ids(">", 2.5),
      ]).toEqual(["1", "2", "", "12", "12", "", ""]);
    });

    test("an error that the work catches does not end the transaction", async () => {
      await add(thing("a", { code: "x" }), thing("b"));
      await store.transact(async (tx) => {
        await expect(tx.insert("Thing", thing("a"))).rejects.toMatchObject({ code: "ID_TAKEN" });
        await expect(tx.insert("Thing", thing("c", { code: "x" }))).rejects.toMatchObject({
          code: "UNIQUE_VIOLATION",
        });
        await expect(tx.update("Thing", "b", { code: "x" })).rejects.toMatchObject({
          code: "UNIQUE_VIOLATION",
        });
        await tx.insert("Thing", thing("d"));
      });
      expect((await store.select({ entity: "Thing" })).map(({ id }) => id)).toEqual([
        "a",
        "b",
        "d",
      ]);
    });

    test("the longest text that the schema allows in an index can be stored", async () => {
      const random = new Uint8Array(1950);
      crypto.getRandomValues(random);
      const longest = random.toBase64().slice(0, 2600);
      await add(thing("a", { code: longest }));
      expect(
        (await store.select({ entity: "Thing", where: compare("==", "code", longest) })).map(
          ({ id }) => id,
        ),
      ).toEqual(["a"]);
    });

    test("rows with null do not conflict in a unique field", async () => {
      await add(thing("a"), thing("b"));
      await store.transact((tx) => tx.update("Thing", "a", { code: null, n: 1 }));
      expect(await store.count("Thing", compare("==", "code", null))).toBe(2);
    });

    test("concurrent work that reads and writes the same row loses no update", async () => {
      await add(thing("a", { n: 0 }));
      const increment = (): Promise<void> =>
        store.transact(async (tx) => {
          const row = await tx.get("Thing", "a");
          await tx.update("Thing", "a", { n: Number(row?.["n"]) + 1 });
        });
      for (let round = 0; round < 5; round += 1)
        await Promise.all(Array.from({ length: 4 }, increment));
      expect(await store.get("Thing", "a")).toMatchObject({ n: 20 });
    });

    test("a rule that two concurrent transactions each check is not violated", async () => {
      await add(thing("a", { ok: true }), thing("b", { ok: true }));
      const leave = (id: string): Promise<boolean> =>
        store.transact(async (tx) => {
          if ((await tx.count("Thing", compare("==", "ok", true))) < 2) return false;
          return tx.update("Thing", id, { ok: false });
        });
      expect((await Promise.all([leave("a"), leave("b")])).toSorted()).toEqual([false, true]);
      expect(await store.count("Thing", compare("==", "ok", true))).toBe(1);
    });

    test("concurrent steps of one transaction do not interfere", async () => {
      await add(thing("a", { code: "x" }), thing("b"));
      const outcomes = await store.transact((tx) =>
        Promise.allSettled([
          tx.update("Thing", "b", { code: "x" }),
          tx.insert("Thing", thing("c")),
          tx.update("Thing", "a", { n: 5 }),
          tx.get("Thing", "a"),
          tx.insert("Thing", thing("d", { code: "x" })),
        ]),
      );
      expect(outcomes.map(({ status }) => status)).toEqual([
        "rejected",
        "fulfilled",
        "fulfilled",
        "fulfilled",
        "rejected",
      ]);
      expect(
        (await store.select({ entity: "Thing", order: [] })).map(({ id, n }) => [id, n]),
      ).toEqual([
        ["a", 5],
        ["b", null],
        ["c", null],
      ] as Value[][]);
    });

    test("many rows of all kinds are inserted in one step, or none of them", async () => {
      const rows = ["a", "b", "c"].map((id, index) =>
        thing(id, {
          text: index === 0 ? null : `{"${id}", \\ NULL}`,
          n: index,
          f: index / 4,
          cost: ["10", "9", "-1.5"][index] ?? null,
          ok: index > 1,
          at: `2026-01-0${index + 1}T00:00:00.000Z`,
        }),
      );
      await store.transact((tx) => tx.insertMany("Thing", rows));
      expect(await store.select({ entity: "Thing" })).toEqual(rows);
      const order = [{ field: "cost", direction: "asc" }] as const;
      const byCost = await store.select({ entity: "Thing", order });
      expect(byCost.map(({ id }) => id)).toEqual(["c", "b", "a"]);
      const taken = store.transact(async (tx) => {
        await tx.insertMany("Thing", [thing("d"), thing("b")]).catch(() => undefined);
      });
      await taken.catch(() => undefined);
      await store.transact((tx) => tx.insertMany("Thing", []));
      expect((await store.get("Thing", "b"))?.["n"]).toBe(1);
    });

    test("new rows are there for the next statement of their transaction, each kind", async () => {
      const rows = ["a", "b", "c"].map((id, index) => ({
        id,
        text: index === 0 ? null : `{"${id}", \\ NULL}`,
        n: index,
        ok: index > 1,
        at: `2026-01-0${index + 1}T00:00:00.000Z`,
        data: [{ list: [1, "2", null] }, ["x"], null][index] ?? null,
        tags: index === 1 ? ["one", 'two "2"'] : [],
      }));
      const [first = thing("")] = rows;
      await store.transact(async (tx) => {
        for (const row of rows) await tx.insertNew("Entry", row);
        await tx.insertNew("Thing", thing("a"));
        expect(await tx.update("Entry", "a", { n: 10 })).toBe(true);
        await tx.insertNew("Entry", { id: "d" });
        expect(await tx.count("Entry")).toBe(4);
        expect(await tx.delete("Entry", "d")).toBe(true);
        expect(await store.count("Entry")).toBe(0);
      });
      const order = [{ field: "id", direction: "asc" }] as const;
      const stored: unknown[] = await store.select({ entity: "Entry", order });
      expect(stored).toEqual([{ ...first, n: 10 }, ...rows.slice(1)]);
      expect(await store.get("Thing", "a")).toEqual(thing("a"));
    });

    test("new rows of a transaction may be many, and go with what undoes it", async () => {
      const write = (count: number): Promise<void> =>
        store.transact(async (tx) => {
          for (let n = 0; n < count; n += 1)
            await tx.insertNew("Entry", { id: `${count}-${n}`, n });
          if (count < 100) throw new Error("no");
        });
      await write(1_203);
      await expect(write(3)).rejects.toThrow("no");
      expect(await store.count("Entry")).toBe(1_203);
    });

    test("new rows of a part that fails are undone, and the others stay", async () => {
      await store.transact(async (tx) => {
        await tx.insertNew("Entry", { id: "before" });
        const part = tx.attempt(async () => {
          await tx.insertNew("Entry", { id: "within" });
          throw new Error("no");
        });
        await part.catch(() => undefined);
        await tx.attempt(() => tx.insertNew("Entry", { id: "kept" }));
        await tx.insertNew("Entry", { id: "after" });
      });
      const rows = await store.select({ entity: "Entry" });
      expect(rows.map(({ id }) => id).toSorted()).toEqual(["after", "before", "kept"]);
    });

    test("a new row with a value that is taken is refused where it is written", async () => {
      await add(thing("a", { code: "x" }));
      await store.transact(async (tx) => {
        const taken = tx.insertNew("Thing", thing("b", { code: "x" }));
        await expect(taken).rejects.toMatchObject({ code: "UNIQUE_VIOLATION", field: "code" });
        await tx.insertNew("Thing", thing("c", { code: "y" }));
      });
      const rows = await store.select({ entity: "Thing" });
      expect(rows.map(({ id }) => id)).toEqual(["a", "c"]);
    });

    test("new rows of works that share a transaction are each of their work", async () => {
      const write = (id: string): Promise<void> =>
        store.transact(
          async (tx) => {
            await tx.insertNew("Entry", { id });
            await tx.append({ ...inserted(thing(id)), entity: "Entry" });
            if (id === "c") throw new Error("no");
            if (id === "e") expect(await tx.count("Entry")).toBeGreaterThan(1);
          },
          { shared: "new" },
        );
      await write("first");
      const ids = ["a", "b", "c", "d", "e", "f"];
      const outcomes = await Promise.allSettled(ids.map(write));
      const failed = ids.filter((_, index) => outcomes[index]?.status === "rejected");
      expect(failed).toEqual(["c"]);
      const rows = await store.select({ entity: "Entry" });
      const kept = ["a", "b", "d", "e", "f", "first"];
      expect(rows.map(({ id }) => id).toSorted()).toEqual(kept);
      expect((await logged()).map((text) => text.slice(1)).toSorted()).toEqual(kept);
    });

    test("many rows are updated in one step, those that are as expected", async () => {
      await add(
        ...["a", "b"].map((id) => thing(id, { n: 1, cost: "2.5" })),
        thing("c", { n: 1, cost: "2.05" }),
        thing("d"),
      );
      const to = (id: string, text: string, place?: RowPlace): RowUpdate => ({
        id,
        patch: { text, ok: true, f: 2 },
        expected: { n: 1, cost: "2.5" },
        place,
      });
      const updated = await store.transact((tx) =>
        tx.updateMany(
          "Thing",
          ["a", "b", "c", "d", "e"].map((id) => to(id, "first")),
        ),
      );
      expect([...updated.keys()].toSorted()).toEqual(["a", "b"]);
      // One row is at its given place; the other has moved, and is found nevertheless.
      await store.transact((tx) => tx.update("Thing", "b", { f: 1 }));
      const places = ["a", "b", "c"].map((id) => to(id, "second", updated.get(id) ?? null));
      const again = await store.transact((tx) => tx.updateMany("Thing", places));
      expect([...again.keys()].toSorted()).toEqual(["a", "b"]);
      // A place that now contains another row.
      const other = [to("b", "third", again.get("a"))];
      await store.transact((tx) => tx.updateMany("Thing", other));
      const rows = await store.select({ entity: "Thing" });
      expect(rows.map(({ id, text, ok }) => [id, text, ok])).toEqual([
        ["a", "second", true],
        ["b", "third", true],
        ["c", null, null],
        ["d", null, null],
      ]);
    });

    test("an update at the end rolls the work back if the row has other values", async () => {
      await add(thing("a", { n: 1 }), thing("b", { n: 1 }));
      const end = (n: number) => (tx: Transaction) =>
        (async () => {
          const update = { id: "a", patch: { n: n + 1 }, expected: { n } };
          await tx.updateAtEnd("Thing", update, () => new Error(`not ${n}`));
          await tx.update("Thing", "b", { n: n + 10 });
        })();
      await store.transact(end(1));
      await expect(store.transact(end(1))).rejects.toThrow("not 1");
      const rows = await store.select({ entity: "Thing" });
      expect(rows.map(({ n }) => n)).toEqual([2, 11]);
    });

    test("pieces of work that share a transaction succeed and fail individually", async () => {
      const ids = Array.from({ length: 40 }, (_, index) => String(index).padStart(2, "0"));
      const isFailing = (id: string): boolean => Number(id) % 8 === 5;
      const write = (id: string): Promise<string> =>
        store.transact(
          async (tx) => {
            await tx.insert("Thing", thing(id));
            await tx.append(inserted(thing(id)));
            if (isFailing(id)) throw new Error(`no ${id}`);
            return `wrote ${id}`;
          },
          { shared: "write" },
        );
      // From then on the duration of such work is known.
      await write("first");
      const outcomes = await Promise.allSettled(ids.map(write));
      expect(outcomes.map((one) => (one.status === "fulfilled" ? one.value : null))).toEqual(
        ids.map((id) => (isFailing(id) ? null : `wrote ${id}`)),
      );
      const kept = ids.filter((id) => !isFailing(id));
      const rows = await store.select({ entity: "Thing" });
      expect(rows.map(({ id }) => id)).toEqual([...kept, "first"]);
      expect((await logged()).length).toBe(kept.length + 1);
    });

    test("work in a shared transaction can be aborted, and the rest continues", async () => {
      const write = (id: string, signal?: AbortSignal): Promise<unknown> =>
        store.transact(
          async (tx) => {
            await tx.insert("Thing", thing(id));
            if (id === "b") abort.abort(new Error("enough"));
          },
          { shared: "write", signal },
        );
      const abort = new AbortController();
      await write("first");
      const outcomes = await Promise.allSettled([
        write("a"),
        write("b", abort.signal),
        write("c", abort.signal),
        write("d"),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual([
        "fulfilled",
        "rejected",
        "rejected",
        "fulfilled",
      ]);
      const rows = await store.select({ entity: "Thing" });
      expect(rows.map(({ id }) => id)).toEqual(["a", "d", "first"]);
    });

    test("a replica that migrates later plans from the result of the previous one", async () => {
      const seen: (string | null)[] = [];
      const wider = buildManifest({
        name: "suite",
        version: "2.0.0",
        entities: [...manifest.entities, entity("Other", { x: field.bool() })],
      });
      const step = (): Promise<void> =>
        store.migrate((stored) => {
          seen.push(stored);
          return {
            migration: planMigration(JSON.parse(stored ?? "null") as Manifest, wider).migration,
            manifestJson: JSON.stringify(wider),
          };
        });
      await step();
      await step();
      expect(seen.map((text) => (JSON.parse(text ?? "null") as Manifest).version)).toEqual([
        "1.0.0",
        "2.0.0",
      ]);
      await expect(
        store.migrate(() => {
          throw new Error("not so");
        }),
      ).rejects.toThrow("not so");
    });

    test("explains which tables are scanned, without an effect on later reads", async () => {
      await add(thing("a", { n: 1, text: "x" }));
      const isIn = (name: string): Expr => ({
        kind: "exists",
        entity: "Thing",
        where: {
          kind: "compare",
          op: "==",
          left: path("related", name),
          right: path("data", name),
        },
      });
      const scansOf = async (where: Expr): Promise<readonly string[]> =>
        (await store.explain({ entity: "Thing", where, limit: 5 })).scans;
      expect(await scansOf(compare("==", "id", "a"))).toEqual([]);
      expect(await scansOf(compare("==", "n", 1))).toEqual([]);
      expect(await scansOf(compare("==", "text", "x"))).toEqual(["Thing"]);
      const { sql, steps, scans } = await store.explain({ entity: "Thing", where: isIn("text") });
      expect([sql, steps.length > 0, scans]).toEqual([
        expect.stringContaining("EXISTS"),
        true,
        ["Thing"],
      ]);
      await add(thing("b"));
      expect(await store.count("Thing")).toBe(2);
    });

    test("tests whether a row of another table exists", async () => {
      await add(thing("a", { n: 1 }));
      const exists = (n: number): Expr => ({
        kind: "exists",
        entity: "Thing",
        where: { kind: "compare", op: "==", left: path("related", "n"), right: literal(n) },
      });
      expect([
        await store.test(exists(1)),
        await store.test(exists(2)),
        await store.test({ kind: "not", item: exists(2) }),
      ]).toEqual([true, false, true]);
    });
  });
}

/** The suite's manifest with other fields of Thing, in addition to or instead of its own. */
function thingsWith(
  fields: Parameters<typeof entity>[1],
  indexes: NonNullable<Parameters<typeof entity>[2]>["indexes"] = [],
): Manifest {
  const [thing, ...others] = manifest.entities;
  const changed = buildManifest({
    name: "suite",
    version: "2.0.0",
    entities: [entity("Thing", fields, { indexes })],
  }).entities[0];
  if (thing === undefined || changed === undefined) throw new Error("There is no Thing.");
  const names = new Set(changed.fields.map(({ name }) => name));
  const kept = thing.fields.filter(({ name }) => !names.has(name));
  return {
    ...manifest,
    entities: [{ ...thing, ...changed, fields: [...kept, ...changed.fields] }, ...others],
  };
}

async function migrate(
  store: Store,
  from: Manifest | null,
  to: Manifest,
  facts?: DataFacts,
): Promise<void> {
  await store.migrate(() => ({
    migration: planMigration(from, to, facts).migration,
    manifestJson: JSON.stringify(to),
  }));
}
