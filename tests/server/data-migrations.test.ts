// Data migrations: changes of rows that run once per database, when a server starts.
// `PYLON_TEST_STORE=postgres` runs the tests on Postgres.
import { expect, test } from "bun:test";
import {
  buildManifest,
  dataMigration,
  definePlugin,
  entity,
  field,
  type DataMigration,
} from "@pylonsync/sdk";
import { dataMigrationStates, type LoadedApp } from "@pylonsync/server";
import { AppDatabase } from "../support/app-database.ts";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf } from "../support/server.ts";

const changed: string[] = [];
const manifest = buildManifest({
  name: "data",
  version: "1.0.0",
  access: "public",
  entities: [entity("Item", { n: field.int(), seen: field.int().default(0) })],
  plugins: [
    definePlugin({ name: "log", hooks: { afterUpdate: ({ id }) => void changed.push(id) } }),
  ],
});
const ROWS = 250;
const rowName = (n: number): string => `r${String(n).padStart(4, "0")}`;

async function filled(database: AppDatabase): Promise<void> {
  const { url } = await database.serve(manifest);
  const lines = Array.from({ length: ROWS }, (_, n) =>
    JSON.stringify({ entity: "Item", row: { id: rowName(n), n } }),
  );
  const type = { "Content-Type": "application/x-ndjson" };
  await new TestClient(url, ADMIN_TOKEN).request("POST", "/api/import", lines.join("\n"), type);
  await database.stop();
}

const withMigrations = (all: Readonly<Record<string, DataMigration>>): Partial<LoadedApp> => ({
  dataMigrations: new Map(Object.entries(all)),
});

const rowsOf = async (url: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
  (await new TestClient(url, null).request("POST", "/api/query/Item", {})).body as never;

async function statesOf(database: AppDatabase, names: readonly string[]): Promise<object[]> {
  const store = await database.open();
  const states = await dataMigrationStates(names, store);
  await store.close();
  return states.map(({ name, state, rows }) => ({ name, state, rows }));
}

/** Adds one to `seen` of a row, and inserts one row that sorts after all others. */
const counting = (fails: (n: unknown) => boolean): DataMigration =>
  dataMigration({
    entity: "Item",
    each: async (ctx, { id, n, seen }) => {
      if (fails(n)) throw new Error("no such number");
      await ctx.db.update("Item", id, { seen: Number(seen) + 1 });
      if (n === 7) await ctx.db.insert("Item", { id: "z", n: 1_000 });
    },
  });

test("each row is migrated once, also after a failure, and hooks run", async () => {
  await using database = await AppDatabase.create();
  await filled(database);
  const parts = withMigrations({ "2_count": counting((n) => n === 200) });
  await expect(database.serve(manifest, parts)).rejects.toThrow(
    'The data migration 2_count failed: no such number (at the row "r0200")',
  );
  expect(await statesOf(database, ["2_count", "3_more"])).toEqual([
    { name: "2_count", state: "running", rows: 200 },
    { name: "3_more", state: "pending", rows: 0 },
  ]);
  const fixed = withMigrations({ "2_count": counting(() => false) });
  changed.length = 0;
  const { url } = await database.serve(manifest, fixed);
  expect(changed).toEqual(Array.from({ length: ROWS - 200 }, (_, n) => rowName(n + 200)));
  const rows = await rowsOf(url);
  expect(rows).toHaveLength(ROWS + 1);
  // Rows that the migration itself inserts are not migrated.
  expect(rows.filter(({ id, seen }) => seen !== (id === "z" ? 0 : 1))).toEqual([]);
  await database.stop();
  const again = await database.serve(manifest, fixed);
  expect((await rowsOf(again.url)).filter(({ seen }) => seen === 2)).toEqual([]);
  await database.stop();
  expect(await statesOf(database, [])).toEqual([{ name: "2_count", state: "done", rows: ROWS }]);
});

test("they run in order of their names, each once, and a failed one changes nothing", async () => {
  await using database = await AppDatabase.create();
  const order: string[] = [];
  const inserting = (id: string, fails = false): DataMigration =>
    dataMigration({
      run: async ({ db }) => {
        await db.insert("Item", { id, n: await db.count("Item") });
        if (fails) throw new Error("not yet");
        order.push(id);
      },
    });
  const first = withMigrations({ "20_b": inserting("b"), "10_a": inserting("a") });
  await database.serve(manifest, first);
  await database.stop();
  const failing = { "20_b": inserting("b"), "15_c": inserting("c"), "30_d": inserting("d", true) };
  await expect(database.serve(manifest, withMigrations(failing))).rejects.toThrow("not yet");
  const served = await database.serve(manifest);
  expect((await rowsOf(served.url)).map(({ id, n }) => [id, n])).toEqual([
    ["a", 0],
    ["b", 1],
    ["c", 2],
  ]);
  expect(order).toEqual(["a", "b", "c"]);

  // In dev mode, a saved version whose migration fails is not activated.
  const other = { ...appOf({ ...manifest, version: "2.0.0" }), ...withMigrations(failing) };
  expect(await served.server.reload(other)).toEqual([
    expect.objectContaining({ code: "MIGRATION_REFUSED" }),
  ]);
  expect(served.server.app.version).toBe("1.0.0");
  const fixed = { ...other, ...withMigrations({ "30_d": inserting("d") }) };
  expect(await served.server.reload(fixed)).toEqual([]);
  expect(await rowsOf(served.url)).toHaveLength(4);
});

test("the error names an entity that does not exist", async () => {
  await using database = await AppDatabase.create();
  const parts = withMigrations({ "1_x": dataMigration({ entity: "Itme", each: () => null }) });
  await expect(database.serve(manifest, parts)).rejects.toThrow(
    'The data migration 1_x names the entity "Itme", which does not exist.',
  );
});

test("servers that start at the same time run it once", async () => {
  if (process.env["PYLON_TEST_STORE"] !== "postgres") return;
  await using database = await AppDatabase.create();
  await filled(database);
  const parts = withMigrations({ "1_count": counting(() => false) });
  const servers = await Promise.all([1, 2, 3].map(() => database.serve(manifest, parts)));
  for (const { url } of servers) {
    const rows = await rowsOf(url);
    expect(rows.filter(({ id, seen }) => seen !== (id === "z" ? 0 : 1))).toEqual([]);
  }
});
