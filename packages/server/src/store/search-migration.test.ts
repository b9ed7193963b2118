import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, type Manifest, type SearchOptions } from "@pylonsync/sdk";
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Client } from "pg";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import { describeStep } from "../schema/describe-step.ts";
import { planMigration } from "../schema/diff.ts";
import { searchIndexesOf } from "../schema/search-index.ts";
import { planStart } from "../schema/start-plan.ts";
import { parseStoredManifest, toStored } from "../schema/stored-manifest.ts";
import { openPostgresStore } from "./postgres/postgres-store.ts";
import { openSqliteStore } from "./sqlite/sqlite-store.ts";
import type { Store } from "./store.ts";

function app(search?: SearchOptions, body: "string" | "int" = "string"): Manifest {
  return buildManifest({
    name: "app",
    version: "1.0.0",
    entities: [
      entity(
        "Note",
        { title: field.string(), body: field[body]().optional() },
        search === undefined ? {} : { search },
      ),
    ],
  });
}

/**
 * Migrates the store to the app as a start does.
 *
 * @returns the steps in words
 */
async function migrate(store: Store, manifest: Manifest): Promise<string[]> {
  const taken: string[] = [];
  await store.migrate((stored) => {
    const { migration, stored: next } = planStart(parseStoredManifest(stored), manifest);
    taken.splice(0, taken.length, ...migration.steps.map(describeStep));
    return { migration, manifestJson: JSON.stringify(next) };
  });
  return taken;
}

async function countOf(store: Store, manifest: Manifest, word: string): Promise<number> {
  const index = searchIndexesOf(manifest.entities)["Note"];
  if (index === undefined) throw new Error("Note has no search.");
  const [row] = await store.aggregate({
    entity: "Note",
    search: { index, words: [word] },
    groupBy: [],
    measures: [{ fn: "count", as: "count" }],
  });
  return Number(row?.["count"]);
}

async function fill(store: Store, from: number, to: number, title: string): Promise<void> {
  await store.transact(async (tx) => {
    for (let n = from; n < to; n += 1)
      await tx.insert("Note", { id: `n${String(n).padStart(5, "0")}`, title, body: "b" });
  });
}

const plain = app();
const byTitle = app({ fields: ["title"] });
const byBoth = app({ fields: { title: 2, body: 1 }, typos: true });

interface TestDatabase {
  open(): Promise<Store>;
  /** Runs native statements of the database on a separate connection. */
  run(sql: readonly string[]): Promise<string[]>;
}

function sqliteIn(folder: string): TestDatabase {
  const path = join(folder, "data.db");
  return {
    open: async () => openSqliteStore(path),
    run: async (sql) => {
      using database = new Database(path);
      return sql.flatMap((text) =>
        database
          .query(text)
          .values()
          .map((row) => String(row[0])),
      );
    },
  };
}

async function newPostgres(): Promise<TestDatabase> {
  const url = await createDatabase(sharedPostgresUrl());
  return {
    open: () =>
      openPostgresStore({
        url,
        poolMax: 4,
        ca: null,
        startTimeoutMs: 0,
        onState: () => undefined,
      }),
    run: async (sql) => {
      const client = new Client({ connectionString: url });
      await client.connect();
      const found: string[] = [];
      for (const text of sql) {
        const { rows } = await client.query<{ name: string }>(text);
        found.push(...rows.map(({ name }) => name));
      }
      await client.end();
      return found;
    },
  };
}

const STOP_FILL = {
  sqlite: [
    `CREATE TRIGGER stop BEFORE UPDATE ON "_pylon_meta"
       WHEN new.key = 'search_fill:Note' AND json_extract(new.value, '$.after') > 'n03000'
       BEGIN SELECT RAISE(ABORT, 'stopped'); END`,
  ],
  postgres: [
    `CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF NEW.key = 'search_fill:Note' AND NEW.value::json->>'after' > 'n03000' THEN
         RAISE EXCEPTION 'stopped';
       END IF;
       RETURN NEW;
     END $$`,
    `CREATE TRIGGER stop BEFORE UPDATE ON "_pylon_meta" FOR EACH ROW EXECUTE FUNCTION stop()`,
  ],
};
const GO_ON = {
  sqlite: ["DROP TRIGGER stop"],
  postgres: ["DROP FUNCTION stop() CASCADE"],
};
const LEFT = {
  sqlite: [`SELECT name FROM sqlite_master WHERE name LIKE '_pylon.%'`],
  postgres: [
    `SELECT relname AS name FROM pg_class WHERE relname LIKE '\\_pylon.%'
       UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE '\\_pylon.%'
       UNION ALL SELECT tgname FROM pg_trigger WHERE tgname = '_pylon_search'`,
  ],
};

for (const name of ["sqlite", "postgres"] as const) {
  describe(name, () => {
    let folder: string;
    let database: TestDatabase;
    let store: Store;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "pylon-search-"));
      database = name === "sqlite" ? sqliteIn(folder) : await newPostgres();
      store = await database.open();
    });
    afterEach(async () => {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    });

    test("existing rows are added to a new index, and to one with other fields", async () => {
      await migrate(store, plain);
      await fill(store, 0, 5_000, "alpha");
      expect(await migrate(store, byTitle)).toEqual(["build the search index of Note (title)"]);
      expect(await countOf(store, byTitle, "alpha")).toBe(5_000);
      expect(await migrate(store, byTitle)).toEqual([]);
      expect(await migrate(store, byBoth)).toEqual([
        "drop the search index of Note",
        "build the search index of Note (title, body)",
      ]);
      expect(await countOf(store, byBoth, "b")).toBe(5_000);
    });

    test("an index whose building was interrupted is completed by the next start", async () => {
      await migrate(store, plain);
      await fill(store, 0, 5_000, "alpha");
      await database.run(STOP_FILL[name]);
      await expect(migrate(store, byTitle)).rejects.toThrow("stopped");
      await store.close();
      await database.run(GO_ON[name]);
      store = await database.open();
      await store.transact(async (tx) => {
        await tx.update("Note", "n00001", { title: "beta" });
        await tx.update("Note", "n04000", { title: "beta" });
        await tx.delete("Note", "n00002");
        await tx.delete("Note", "n04001");
      });
      expect(await migrate(store, byTitle)).toEqual([]);
      expect(await countOf(store, byTitle, "alpha")).toBe(4_996);
      expect(await countOf(store, byTitle, "beta")).toBe(2);
    });

    test("a search that an older version declared without an index gets one", async () => {
      await store.migrate(() => ({
        migration: planStart(null, plain).migration,
        manifestJson: JSON.stringify(byTitle),
      }));
      await fill(store, 0, 3, "alpha");
      expect(await migrate(store, byTitle)).toEqual(["build the search index of Note (title)"]);
      expect(await countOf(store, byTitle, "alpha")).toBe(3);
      // An older version that runs in between keeps the index, without knowing about it.
      await store.migrate(() => ({
        migration: { steps: [] },
        manifestJson: JSON.stringify(byTitle),
      }));
      await fill(store, 3, 5, "alpha");
      await migrate(store, byTitle);
      expect(await countOf(store, byTitle, "alpha")).toBe(5);
    });

    test("a searched field changes its type, and a removed search leaves nothing", async () => {
      const byNumber = app({ fields: ["title"], sort: ["body"] }, "int");
      await migrate(store, byBoth);
      await store.transact((tx) => tx.insert("Note", { id: "a", title: "alpha", body: "17" }));
      expect(await migrate(store, byNumber)).toEqual([
        "drop the search index of Note",
        "change Note.body from string to int",
        "build the search index of Note (title)",
      ]);
      expect(await countOf(store, byNumber, "alpha")).toBe(1);
      // A start keeps it, for a version that declares it; `pylon migrate apply` does not.
      expect(await migrate(store, app(undefined, "int"))).toEqual([]);
      await store.transact((tx) => tx.update("Note", "a", { title: "gamma" }));
      expect(await migrate(store, byNumber)).toEqual([]);
      expect(await countOf(store, byNumber, "gamma")).toBe(1);
      const without = app(undefined, "int");
      await store.migrate((stored) => {
        const { migration } = planMigration(parseStoredManifest(stored), without);
        expect(migration.steps.map(describeStep)).toEqual(["drop the search index of Note"]);
        return { migration, manifestJson: JSON.stringify(toStored(without)) };
      });
      expect(await database.run(LEFT[name])).toEqual([]);
      await store.transact((tx) => tx.update("Note", "a", { title: "beta" }));
    });

    test("without trigrams only the exact words are found", async () => {
      await migrate(store, byBoth);
      await fill(store, 0, 2, "alpha");
      expect([store.findsTypos, await countOf(store, byBoth, "alpa")]).toEqual([true, 2]);
      if (name === "sqlite") return;
      await database.run(["DROP EXTENSION pg_trgm CASCADE"]);
      await migrate(store, byBoth);
      expect([store.findsTypos, await countOf(store, byBoth, "alpa")]).toEqual([false, 0]);
      expect(await countOf(store, byBoth, "alpha")).toBe(2);
    });

    test("a failed transaction leaves the index unchanged, like the rows", async () => {
      await migrate(store, byTitle);
      await fill(store, 0, 2, "alpha");
      const failed = store.transact(async (tx) => {
        await tx.update("Note", "n00000", { title: "beta" });
        await tx.delete("Note", "n00001");
        throw new Error("no");
      });
      await expect(failed).rejects.toThrow("no");
      expect(await countOf(store, byTitle, "alpha")).toBe(2);
      expect(await countOf(store, byTitle, "beta")).toBe(0);
    });
  });
}
