import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { Client } from "pg";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { SilentProxy } from "../../../../../tests/support/servers/silent-proxy.ts";
import { planMigration } from "../../schema/diff.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

const manifest = buildManifest({
  name: "silent",
  version: "1.0.0",
  entities: [entity("Account", { cents: field.int() })],
});
const POOL = 4;
const SILENCE_MS = 300;
const READS = 12;

let url: string;
let proxy: SilentProxy;
let store: PostgresStore;

beforeAll(async () => {
  url = await createDatabase(sharedPostgresUrl());
  proxy = await SilentProxy.start(Number(new URL(url).port));
  store = await openPostgresStore({
    url: proxy.throughIt(url),
    poolMax: POOL,
    ca: null,
    startTimeoutMs: 0,
    onState: () => undefined,
    silenceMs: SILENCE_MS,
  });
  await store.migrate((stored) => ({
    migration: planMigration(JSON.parse(stored ?? "null"), manifest).migration,
    manifestJson: JSON.stringify(manifest),
  }));
  await store.transact((tx) => tx.insert("Account", { id: "a", cents: 0 }));
});
afterAll(async () => {
  await store.close();
  await proxy[Symbol.asyncDispose]();
});

function deposit(beforeEnd: () => Promise<void> = async () => undefined): Promise<void> {
  return store.transact(async (tx) => {
    const before = await tx.get("Account", "a");
    const after = { id: "a", cents: Number(before?.["cents"]) + 1 };
    await tx.update("Account", "a", { cents: after.cents });
    await tx.append({ entity: "Account", rowId: "a", kind: "update", before, after, at: 1 });
    await beforeEnd();
  });
}

/** As many concurrent reads as it takes to make the pool open all of its connections. */
function readTogether(): Promise<unknown[]> {
  return Promise.all(Array.from({ length: READS }, () => store.get("Account", "a")));
}

test("F1: silent connections are replaced: reads, writes and the log continue", async () => {
  await readTogether();
  const heard = Promise.withResolvers<void>();
  const stop = store.follow(() => heard.resolve());
  proxy.silence();
  await Promise.all([readTogether(), deposit(), heard.promise]);
  stop();
  expect(await store.get("Account", "a")).toMatchObject({ cents: 1 });
}, 30_000);

test("F1: a transaction whose connection becomes silent is executed once", async () => {
  let attempts = 0;
  await deposit(async () => {
    attempts += 1;
    if (attempts === 1) proxy.silence();
  });
  expect(attempts).toBe(2);
  expect(await store.get("Account", "a")).toMatchObject({ cents: 2 });
}, 30_000);

test("F1: a statement that the server is working on continues, however long it takes", async () => {
  const [locker, direct] = [new Client(url), new Client(url)];
  await Promise.all([locker.connect(), direct.connect()]);
  await locker.query(`BEGIN; LOCK TABLE "Account" IN ACCESS EXCLUSIVE MODE`);
  const read = store.get("Account", "a");
  const waiting = await waitingFor(direct);
  await looks(direct, 4);
  expect(await blocked(direct)).toEqual(waiting);
  await locker.query("COMMIT");
  expect(await read).toMatchObject({ id: "a" });
  await Promise.all([locker.end(), direct.end()]);
}, 30_000);

/** @returns the processes of the server that are waiting for a lock, once there is one */
async function waitingFor(direct: Client): Promise<unknown[]> {
  for (;;) {
    const waiting = await blocked(direct);
    if (waiting.length > 0) return waiting;
  }
}

async function blocked(direct: Client): Promise<unknown[]> {
  const { rows } = await direct.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return rows.map(({ pid }) => pid);
}

/** Waits until the server was queried this many times. */
async function looks(direct: Client, count: number): Promise<void> {
  const seen = new Set<number>();
  while (seen.size < count) {
    const { rows } = await direct.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'pylon watch'`,
    );
    for (const { pid } of rows) seen.add(pid);
  }
}
