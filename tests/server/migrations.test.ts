// How a new version of an app changes existing rows: types are converted, and fields are filled in.
// `PYLON_TEST_STORE=postgres` runs the tests on Postgres.
import { expect, test } from "bun:test";
import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import {
  applyMigration,
  describeStep,
  inspectData,
  migrationHistory,
  planMigration,
  SERVER_VERSION,
} from "@pylonsync/server";
import { AppDatabase } from "../support/app-database.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, type TestServer } from "../support/server.ts";

function appWith(version: string, fields: Parameters<typeof entity>[1]): Manifest {
  return buildManifest({
    name: "migrations",
    version,
    access: "public",
    entities: [entity("Item", fields)],
  });
}

/** Does what `pylon migrate apply` does. */
async function apply(database: AppDatabase, app: Manifest): Promise<readonly string[]> {
  const store = await database.open();
  try {
    const stored = JSON.parse((await store.storedManifest()) ?? "null");
    const plan = planMigration(stored, app, await inspectData(store, app));
    if (plan.problems.length > 0) return plan.problems.map(({ message }) => message);
    await applyMigration(store, plan, app, { pylonVersion: SERVER_VERSION });
    return [];
  } finally {
    await store.close();
  }
}

const items = async (url: string): Promise<unknown> =>
  (await new TestClient(url, null).request("POST", "/api/query/Item", {})).body;

test("a type changes only with a conversion function of the app", async () => {
  await using database = await AppDatabase.create();
  const prices = appWith("1.0.0", { price: field.string().optional() });
  const { url } = await database.serve(prices);
  const client = await TestClient.guest(url);
  for (const [id, price] of Object.entries({ a: "12.90", b: "on request", c: null }))
    await client.insert("Item", { id, price });
  await database.stop();

  const cents = (convert: (price: string) => number): Manifest =>
    appWith("2.0.0", { price: field.int().optional().convert(convert) });
  const wrong = cents((price) => Number(price) * 100);
  const bare = appWith("2.0.0", { price: field.int().optional() });
  await expect(database.serve(bare)).rejects.toThrow(".convert((old) => value)");
  expect(await apply(database, wrong)).toEqual([
    expect.stringMatching(/Item\.price becomes int.*"on request".*Of the row "b" the new value/),
  ]);
  const right = cents((price) => Math.round((Number.parseFloat(price) || 0) * 100));
  // Servers of the previous version may still be running.
  await expect(database.serve(right)).rejects.toThrow("Stop the servers of the previous version");
  await database.serve(prices);
  await database.stop();
  expect(await apply(database, right)).toEqual([]);
  const served = await database.serve(right);
  expect(await items(served.url)).toEqual([
    { id: "a", price: 1290 },
    { id: "b", price: 0 },
    { id: "c", price: null },
  ] as never);
});

/** Inserts items with the ids r0000 and so on. */
async function importItems(url: string, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, n) =>
    JSON.stringify({ entity: "Item", row: { id: `r${String(n).padStart(4, "0")}`, n } }),
  );
  await new TestClient(url, ADMIN_TOKEN).request("POST", "/api/import", lines.join("\n"), {
    "Content-Type": "application/x-ndjson",
  });
}

test("a new field is filled in batches, resumes after a failure, and is recorded", async () => {
  await using database = await AppDatabase.create();
  const before = appWith("1.0.0", { n: field.int() });
  const { url } = await database.serve(before);
  const ROWS = 1_000;
  await importItems(url, ROWS);
  expect(await items(url)).toHaveLength(ROWS);
  await database.stop();

  const made: number[] = [];
  let failsAt = 700;
  const after = appWith("2.0.0", {
    n: field.int(),
    label: field
      .string()
      .unique()
      .backfill(({ n }) => {
        if (n === failsAt) throw new Error("no label");
        made.push(Number(n));
        return `label ${String(n)}`;
      }),
    code: field.string().default("uuid"),
    state: field.enum(["open", "done"]).default("open"),
  });
  await expect(database.serve(after)).rejects.toThrow(
    "Item.label of the row \"r0700\" can't be filled in: the value can't be made: no label.",
  );
  failsAt = -1;
  made.length = 0;
  const served = await database.serve(after);
  // The batch that failed was rolled back, and the earlier ones were kept.
  expect([(made[0] ?? 0) >= 500, made.at(-1)]).toEqual([true, ROWS - 1]);
  const rows = (await items(served.url)) as { n: number; label: string; code: string }[];
  expect(rows.every(({ n, label }) => label === `label ${n}`)).toBe(true);
  expect(new Set(rows.map(({ code }) => code)).size).toBe(ROWS);
  await database.stop();

  // Rows that the previous version inserts afterwards are filled in at the next start.
  const older = await database.serve(before);
  await (await TestClient.guest(older.url)).insert("Item", { id: "late", n: 7_000 });
  await database.stop();
  const again = await database.serve(after);
  const late = await new TestClient(again.url, null).request("GET", "/api/entities/Item/late");
  expect(late.body).toMatchObject({ label: "label 7000" });
  await database.stop();

  const store = await database.open();
  const { migrations, backfills } = await migrationHistory(store);
  await store.close();
  expect(migrations.map(({ app_version: version }) => version)).toEqual(["2.0.0", "1.0.0"]);
  expect(migrations[0]).toMatchObject({
    pylon_version: SERVER_VERSION,
    steps: expect.arrayContaining(["add Item.label (string)"]),
  });
  expect(backfills).toEqual([
    { field: "Item.label", filled: 1, done_at: expect.any(String) },
    { field: "Item.code", filled: ROWS, done_at: expect.any(String) },
  ]);
});

interface Item {
  readonly n: number;
  readonly square: number;
  readonly half: number | null;
}

const halfOf = (n: number): number | null => (n % 2 === 0 ? n / 2 : null);

const all = async ({ url }: TestServer): Promise<readonly Item[]> => (await items(url)) as never;

/** The steps that `pylon migrate plan` lists. */
async function planOf(database: AppDatabase, app: Manifest): Promise<readonly string[]> {
  const store = await database.open();
  try {
    const stored = JSON.parse((await store.storedManifest()) ?? "null");
    const { migration } = planMigration(stored, app, await inspectData(store, app));
    return migration.steps.map(describeStep);
  } finally {
    await store.close();
  }
}

/** The id of the change log: when it changes, clients load a snapshot. */
async function logOf({ url }: TestServer): Promise<unknown> {
  return (await new TestClient(url, ADMIN_TOKEN).request("GET", "/api/sync/pull")).body["epoch"];
}

test("a computed field is computed for all rows when it is added", async () => {
  await using database = await AppDatabase.create();
  const before = appWith("1.0.0", { n: field.int() });
  const { url } = await database.serve(before);
  const ROWS = 1_000;
  await importItems(url, ROWS);
  await database.stop();

  let failsAt = 900;
  const squares = appWith("2.0.0", {
    n: field.int(),
    square: field.int().computed(({ n }) => {
      if (n === failsAt) throw new Error("no square");
      return Number(n) ** 2;
    }),
    half: field
      .float()
      .optional()
      .computed(({ n }) => halfOf(Number(n))),
  });
  await expect(database.serve(squares)).rejects.toThrow(
    "Item.square of the row \"r0900\" can't be computed: the value can't be made: no square.",
  );
  failsAt = -1;
  const served = await database.serve(squares);
  expect(await all(served)).toEqual(
    Array.from({ length: ROWS }, (_, n) => ({
      id: `r${String(n).padStart(4, "0")}`,
      n,
      square: n ** 2,
      half: halfOf(n),
    })),
  );
  await database.stop();
});

test("a changed computed field is recomputed, and clients load a snapshot", async () => {
  await using database = await AppDatabase.create();
  const power = (version: string, exponent: number, withHalf: boolean): Manifest =>
    appWith(version, {
      n: field.int(),
      square: field.int().computed(({ n }) => Number(n) ** exponent, { version: exponent }),
      ...(withHalf
        ? {
            half: field
              .float()
              .optional()
              .computed(({ n }) => halfOf(Number(n))),
          }
        : {}),
    });
  const squares = power("2.0.0", 2, true);
  const first = await database.serve(squares);
  await importItems(first.url, 100);
  // A new log makes clients replace the values that the old code computed.
  const log = await logOf(first);
  await database.stop();

  const cubes = power("3.0.0", 3, false);
  const left = "drop Item.half with all its values";
  const step = "compute Item.square of all rows, in batches";
  expect(await planOf(database, cubes)).toEqual([step, left]);
  const changed = await database.serve(cubes);
  expect((await all(changed)).every(({ n, square }) => square === n ** 3)).toBe(true);
  await (
    await TestClient.guest(changed.url)
  ).request("PATCH", "/api/entities/Item/r0004", {
    n: 1_000,
  });
  const newLog = await logOf(changed);
  expect(newLog).not.toBe(log);
  await database.stop();
  expect(await planOf(database, cubes)).toEqual([left]);
  expect(await logOf(await database.serve(cubes))).toBe(newLog);
  await database.stop();

  // The previous version runs again, and with it its field: all values are recomputed.
  const rows = await all(await database.serve(squares));
  expect(rows.filter(({ n, square, half }) => square !== n ** 2 || half !== halfOf(n))).toEqual([]);
  expect(rows.some(({ n }) => n === 1_000)).toBe(true);
});

test("a new field with a default function is filled in if it is required", async () => {
  await using database = await AppDatabase.create();
  const { url } = await database.serve(appWith("1.0.0", { n: field.int() }));
  await (await TestClient.guest(url)).insert("Item", { id: "a", n: 7 });
  await database.stop();
  const after = (code: () => string | null): Manifest =>
    appWith("2.0.0", {
      n: field.int(),
      code: field.string().default(code),
      by: field
        .string()
        .optional()
        .default(({ auth }) => auth.userId),
      double: field.int().default(({ data }) => Number(data["n"]) * 2),
    });
  await expect(database.serve(after(() => null))).rejects.toThrow("Item.code of the row");
  let made = 0;
  const served = await database.serve(after(() => `code ${String((made += 1))}`));
  const client = await TestClient.guest(served.url);
  await client.insert("Item", { id: "b", n: 8 });
  expect(await items(served.url)).toEqual([
    { id: "a", n: 7, code: "code 1", by: null, double: 14 },
    { id: "b", n: 8, code: "code 2", by: expect.any(String), double: 16 },
  ] as never);
});

test("rows that others are writing are waited for, then computed from the new values", async () => {
  if (process.env["PYLON_TEST_STORE"] !== "postgres") return;
  await using database = await AppDatabase.create();
  const { url } = await database.serve(appWith("1.0.0", { n: field.int() }));
  await importItems(url, 300);
  await database.stop();
  const withNext = (compute: (n: number) => number): Manifest =>
    appWith("2.0.0", { n: field.int(), next: field.int().computed(({ n }) => compute(Number(n))) });
  // The column exists, but no row is computed yet.
  await expect(database.serve(withNext(() => NaN))).rejects.toThrow("Item.next of the row");
  const store = await database.open();
  const end = Promise.withResolvers<void>();
  const isHeld = Promise.withResolvers<void>();
  const holding = store.transact(
    async (tx) => {
      await tx.update("Item", "r0100", { n: 1_000 });
      isHeld.resolve();
      await end.promise;
    },
    { isolation: "latest" },
  );
  await isHeld.promise;
  let computed = 0;
  const app = withNext((n) => {
    computed += 1;
    return n + 1;
  });
  const serving = database.serve(app);
  await until(() => computed >= 100);
  end.resolve();
  await holding;
  await store.close();
  const served = await serving;
  const rows = (await items(served.url)) as readonly { n: number; next: number }[];
  expect(rows.filter(({ n, next }) => next !== n + 1)).toEqual([]);
  expect(rows.some(({ n }) => n === 1_000)).toBe(true);
});
