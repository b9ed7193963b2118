// A million rows get two required fields: one with a default, and one with UUIDs that are filled in
// batches. In the meantime single rows are read from the same database and, on SQLite, in the same
// process: the 99th percentile of the reads, against that of an idle database. On Postgres they
// then get an index: the duration of reads and writes while it is built, and, for comparison,
// during a plain CREATE INDEX.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import { applyMigration, openStore, planMigration, SERVER_VERSION } from "@pylonsync/server";
import { Client } from "pg";
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { report } from "./lib/report.ts";

const ROWS = 1_000_000;
const INSERTED = 10_000;
const IDLE_MS = 3_000;
const READ_EVERY_MS = 2;

type Store = Awaited<ReturnType<typeof openStore>>;
type Database = Parameters<typeof openStore>[0];

function appWith(version: string, fields: Parameters<typeof entity>[1]): Manifest {
  return buildManifest({ name: "bench", version, entities: [entity("Item", fields)] });
}

const before = appWith("1.0.0", { text: field.string() });
const after = appWith("2.0.0", {
  text: field.string(),
  state: field.string().default("open"),
  code: field.string().default("uuid"),
});

async function migrate(store: Store, app: Manifest): Promise<void> {
  const stored = JSON.parse((await store.storedManifest()) ?? "null");
  const plan = planMigration(stored, app);
  await applyMigration(store, plan, app, { pylonVersion: SERVER_VERSION });
}

/**
 * Reads a row every few milliseconds until the work is done. A read that could not begin in time,
 * because the process was busy, counts from when it should have begun.
 *
 * @returns the 99th percentile of the reads, in milliseconds
 */
async function p99While(store: Store, work: Promise<unknown>): Promise<number> {
  const times: number[] = [];
  let isDone = false;
  void work.finally(() => (isDone = true));
  while (!isDone) {
    const due = performance.now() + READ_EVERY_MS;
    await Bun.sleep(READ_EVERY_MS);
    await store.get("Item", idOf(Math.floor(Math.random() * ROWS)));
    times.push(performance.now() - due);
  }
  await work;
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
}

function idOf(n: number): string {
  return `item${String(n).padStart(8, "0")}`;
}

/** @param reading on SQLite: the store that migrates */
async function measure(name: string, migrating: Store, reading: Store): Promise<void> {
  await migrate(migrating, before);
  if (reading !== migrating) await migrate(reading, before);
  for (let start = 0; start < ROWS; start += INSERTED) {
    const rows = Array.from({ length: INSERTED }, (_, at) => ({
      id: idOf(start + at),
      text: `The text of item ${start + at}`,
    }));
    await migrating.transact((tx) => tx.insertMany("Item", rows));
  }
  const baseline = await p99While(reading, Bun.sleep(IDLE_MS));
  const started = performance.now();
  const value = await p99While(reading, migrate(migrating, after));
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  report(`reads p99 on ${name} during a migration of ${ROWS} rows, ${seconds} s`, "ms", [
    { value, baseline },
  ]);
}

/** Writes a row every few milliseconds until the work is done, one at a time. */
async function writesWhile(
  store: Store,
  work: Promise<unknown>,
): Promise<{ readonly p99: number; readonly longest: number }> {
  const times: number[] = [];
  let isDone = false;
  void work.finally(() => (isDone = true));
  while (!isDone) {
    const due = performance.now() + READ_EVERY_MS;
    await Bun.sleep(READ_EVERY_MS);
    const id = idOf(Math.floor(Math.random() * ROWS));
    await store.transact((tx) => tx.update("Item", id, { state: "open" }));
    times.push(performance.now() - due);
  }
  await work;
  const sorted = times.toSorted((a, b) => a - b);
  return { p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0, longest: sorted.at(-1) ?? 0 };
}

/** Builds an index of a million rows as a migration does, and with a plain statement. */
async function measureIndex(url: string, migrating: Store, using: Store): Promise<void> {
  const indexed: Manifest = {
    ...after,
    version: "3.0.0",
    entities: after.entities.map((one) => ({
      ...one,
      indexes: [{ name: "by_text", fields: ["text"], unique: false }],
    })),
  };
  const idle = await writesWhile(using, Bun.sleep(IDLE_MS));
  const idleReads = await p99While(using, Bun.sleep(IDLE_MS));
  const started = performance.now();
  const building = migrate(migrating, indexed);
  const [built, reads] = await Promise.all([
    writesWhile(using, building),
    p99While(using, building),
  ]);
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  const client = new Client({ connectionString: url });
  await client.connect();
  const plain = await writesWhile(using, client.query('CREATE INDEX by_plain ON "Item" (text)'));
  await client.end();
  const during = `while an index of ${ROWS} rows is built on Postgres, ${seconds} s`;
  report(`reads p99 ${during}`, "ms", [{ value: reads, baseline: idleReads }]);
  report(`writes p99 ${during}`, "ms", [{ value: built.p99, baseline: idle.p99 }]);
  report(`the longest write ${during}; baseline: by a plain CREATE INDEX`, "ms", [
    { value: built.longest, baseline: plain.longest },
  ]);
}

function open(database: Database): Promise<Store> {
  return openStore(database, { startTimeoutMs: 0, onState: () => undefined });
}

const folder = mkdtempSync(join(tmpdir(), "pylon-bench-"));
const sqlite = await open({
  kind: "sqlite",
  path: join(folder, "bench.db"),
  isTemporary: false,
});
await measure("SQLite", sqlite, sqlite);
await sqlite.close();
rmSync(folder, { recursive: true, force: true });

await using server = await PostgresServer.start();
const url = await server.createDatabase();
const postgres = { kind: "postgres", url, poolMax: 5, ca: null } as const;
const [migrating, reading] = [await open(postgres), await open(postgres)];
await measure("Postgres", migrating, reading);
await measureIndex(url, migrating, reading);
await migrating.close();
await reading.close();
