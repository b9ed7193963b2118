import { buildManifest, entity, field, type Manifest, type ManifestIndex } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import { Client } from "pg";
import { until } from "../../../../../tests/support/client.ts";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { planMigration } from "../../schema/diff.ts";
import { parseStoredManifest } from "../../schema/stored-manifest.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

const ROWS = 4_000;
const BY_N = { name: "by_n", fields: ["n"], unique: false };

const appWith = (...indexes: readonly ManifestIndex[]): Manifest =>
  buildManifest({
    name: "large",
    version: "1.0.0",
    entities: [
      entity("Item", { n: field.int(), text: field.string() }, { indexes }),
      entity("Small", { n: field.int() }, { indexes }),
    ],
  });

function open(url: string): Promise<PostgresStore> {
  const onState = (): void => undefined;
  return openPostgresStore({ url, poolMax: 4, ca: null, startTimeoutMs: 0, onState });
}

function migrate(store: PostgresStore, app: Manifest): Promise<void> {
  return store.migrate((json) => {
    const { migration, stored } = planMigration(parseStoredManifest(json), app);
    return { migration, names: {}, manifestJson: JSON.stringify(stored) };
  });
}

/** A database whose table Item is large, with an administrator's connection. */
class Large implements AsyncDisposable {
  readonly #stores: PostgresStore[] = [];

  private constructor(
    readonly url: string,
    readonly admin: Client,
  ) {}

  static async create(): Promise<Large> {
    const url = await createDatabase(sharedPostgresUrl());
    const admin = new Client({ connectionString: url });
    await admin.connect();
    const large = new Large(url, admin);
    const store = await large.open();
    await migrate(store, appWith());
    await admin.query(
      `INSERT INTO "Item" (id, n, text)
       SELECT 'r' || g, g, repeat('x', 400) FROM generate_series(1, ${ROWS}) AS g`,
    );
    await admin.query(
      `INSERT INTO "Small" (id, n) SELECT 'r' || g, g FROM generate_series(1, 9) g`,
    );
    return large;
  }

  async open(): Promise<PostgresStore> {
    const store = await open(this.url);
    this.#stores.push(store);
    return store;
  }

  /** By name: whether the index is complete. */
  async indexes(): Promise<Readonly<Record<string, boolean>>> {
    const { rows } = await this.admin.query<{ name: string; valid: boolean }>(
      `SELECT indexrelid::regclass::text AS name, indisvalid AS valid FROM pg_index
       WHERE indrelid IN ('"Item"'::regclass, '"Small"'::regclass) AND NOT indisprimary`,
    );
    return Object.fromEntries(rows.map(({ name, valid }) => [name.replaceAll('"', ""), valid]));
  }

  /**
   * The Postgres process that builds an index concurrently with writes. It waits for a writer, so
   * the table already has the incomplete index.
   */
  async builder(): Promise<number | undefined> {
    const { rows } = await this.admin.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_progress_create_index
       WHERE command = 'CREATE INDEX CONCURRENTLY' AND datname = current_database()
         AND phase = 'waiting for writers before build'`,
    );
    return rows[0]?.pid;
  }

  /** A transaction that has written to the table, and that an index build waits for. */
  async writeOpen(): Promise<Client> {
    const writer = new Client({ connectionString: this.url });
    await writer.connect();
    await writer.query("BEGIN");
    await writer.query(`UPDATE "Item" SET n = 0 WHERE id = 'r1'`);
    return writer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.close()));
    await this.admin.end();
  }
}

test("writes continue while a large table's index is built, and other replicas wait", async () => {
  await using large = await Large.create();
  const [first, second, old] = [await large.open(), await large.open(), await large.open()];
  const writer = await large.writeOpen();
  const done: string[] = [];
  const both = [first, second].map((store, at) =>
    migrate(store, appWith(BY_N)).then(() => done.push(`replica ${at}`)),
  );
  await until(async () => (await large.builder()) !== undefined);
  await old.transact((tx) => tx.insert("Item", { id: "new", n: 5_000, text: "new" }));
  await old.transact((tx) => tx.update("Item", "r2", { n: 7 }));
  expect(done).toEqual([]);
  // The index of a small table exists immediately.
  expect(await large.indexes()).toEqual({ "Item.by_n": false, "Small.by_n": true });
  await writer.query("COMMIT");
  await writer.end();
  await Promise.all(both);
  expect(done).toHaveLength(2);
  expect(await large.indexes()).toEqual({ "Item.by_n": true, "Small.by_n": true });
  expect(await first.count("Item")).toBe(ROWS + 1);
});

test("the next start completes a crashed index build, or drops the removed index", async () => {
  await using large = await Large.create();
  const app = appWith({ ...BY_N, unique: true });
  for (const isKept of [true, false]) {
    const writer = await large.writeOpen();
    const outcome = migrate(await large.open(), app).catch((error: unknown) => error);
    await until(async () => (await large.builder()) !== undefined);
    await large.admin.query("SELECT pg_terminate_backend($1)", [await large.builder()]);
    expect(await outcome).toBeInstanceOf(Error);
    await writer.query("COMMIT");
    await writer.end();
    expect(await large.indexes()).toEqual({ "Item.by_n": false, "Small.by_n": true });
    await migrate(await large.open(), isKept ? app : appWith());
    expect(await large.indexes()).toEqual(isKept ? { "Item.by_n": true, "Small.by_n": true } : {});
    await migrate(await large.open(), appWith());
  }
});

test("a unique index over equal values is rejected, and retried by the next start", async () => {
  await using large = await Large.create();
  const app = appWith({ ...BY_N, unique: true });
  await large.admin.query(`UPDATE "Item" SET n = 2 WHERE id = 'r1'`);
  for (let start = 0; start < 2; start += 1)
    await expect(migrate(await large.open(), app)).rejects.toThrow(
      "A unique index can't be created, because rows have the same values: Key (n)=(2)",
    );
  expect(await large.indexes()).toEqual({ "Small.by_n": true });
  await large.admin.query(`UPDATE "Item" SET n = 1 WHERE id = 'r1'`);
  const store = await large.open();
  await migrate(store, app);
  expect(await large.indexes()).toEqual({ "Item.by_n": true, "Small.by_n": true });
  await expect(
    store.transact((tx) => tx.insert("Item", { id: "twice", n: 2, text: "" })),
  ).rejects.toMatchObject({ code: "UNIQUE_VIOLATION", field: "n" });
});
