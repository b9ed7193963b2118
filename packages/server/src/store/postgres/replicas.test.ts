import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { Client } from "pg";
import { until } from "../../../../../tests/support/client.ts";
import {
  createDatabase,
  PostgresServer,
  WITHOUT_FLUSHING,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { PgBouncer } from "../../../../../tests/support/servers/pgbouncer.ts";
import { planMigration } from "../../schema/diff.ts";
import type { ChangeRecord, Store } from "../store.ts";
import type { PostgresOptions } from "./connection-options.ts";
import { SESSION_LIMITS } from "./session-settings.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

const manifest = buildManifest({
  name: "replicas",
  version: "1.0.0",
  entities: [entity("Note", { text: field.string(), code: field.string().unique().optional() })],
});

async function openReplica(
  url: string,
  overrides: Partial<
    Pick<PostgresOptions, "ca" | "poolMax" | "onState" | "limits" | "startTimeoutMs">
  > = {},
): Promise<PostgresStore> {
  const store = await openPostgresStore({
    url,
    poolMax: overrides.poolMax ?? 4,
    ca: overrides.ca ?? null,
    startTimeoutMs: overrides.startTimeoutMs ?? 0,
    limits: overrides.limits,
    onState: overrides.onState ?? (() => undefined),
  });
  await store.migrate((stored) => ({
    migration: planMigration(JSON.parse(stored ?? "null"), manifest).migration,
    manifestJson: JSON.stringify(manifest),
  }));
  return store;
}

function add(
  store: Store,
  id: string,
  beforeCommit: Promise<void> = Promise.resolve(),
): Promise<void> {
  return store.transact(async (tx) => {
    const row = { id, text: "t", code: null };
    await tx.insert("Note", row);
    await tx.append({ entity: "Note", rowId: id, kind: "insert", before: null, after: row, at: 1 });
    await beforeCommit;
  });
}

function hearing(store: Store): ChangeRecord[] {
  const heard: ChangeRecord[] = [];
  store.follow((changes) => heard.push(...changes));
  return heard;
}

/** A connection of the operator to the server of a database, but not to the database itself. */
class Admin implements AsyncDisposable {
  readonly #server: Client;
  readonly #database: string;
  readonly #url: string;

  private constructor(server: Client, url: string) {
    this.#server = server;
    this.#url = url;
    this.#database = new URL(url).pathname.slice(1);
  }

  static async of(url: string): Promise<Admin> {
    const server = new Client({ connectionString: sharedPostgresUrl() });
    await server.connect();
    return new Admin(server, url);
  }

  async alter(change: string): Promise<void> {
    await this.#server.query(`ALTER DATABASE "${this.#database}" ${change}`);
  }

  async cutConnections(): Promise<void> {
    await this.#server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
      [this.#database],
    );
  }

  /** Runs statements in the database. */
  async run(sql: string): Promise<void> {
    const client = new Client({ connectionString: this.#url });
    await client.connect();
    await client.query(sql);
    await client.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.end();
  }
}

describe("replicas on one Postgres", () => {
  let url: string;
  let a: PostgresStore;
  let b: PostgresStore;

  beforeEach(async () => {
    url = await createDatabase(sharedPostgresUrl());
    // Both start at the same time on an empty database: one creates the tables, the other uses
    // them.
    [a, b] = await Promise.all([openReplica(url), openReplica(url)]);
  });
  afterEach(() => Promise.all([a.close(), b.close()]));

  test("receive the same changes in the same order, wherever they were committed", async () => {
    const [heardA, heardB] = [hearing(a), hearing(b)];
    await Promise.all(Array.from({ length: 200 }, (_, n) => add(n % 2 === 0 ? a : b, `n${n}`)));
    await until(() => heardA.length >= 200 && heardB.length >= 200);
    expect(heardA).toEqual(heardB);
    expect(heardA.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
    expect(new Set(heardA.map(({ rowId }) => rowId)).size).toBe(200);
  });

  test("an open transaction delays and loses nothing of 1,000 others that commit", async () => {
    const heard = hearing(b);
    const open = Promise.withResolvers<void>();
    // However long the others need: a server's idle transaction would be ended after 10 seconds.
    const holder = await openReplica(url, { limits: { ...SESSION_LIMITS, idleMs: 0 } });
    const early = add(holder, "early", open.promise);
    for (let n = 0; n < 1000; n += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, k) => add(k % 2 === 0 ? a : b, `n${n + k}`)),
      );
    await until(() => heard.length >= 1000);
    expect(heard.map(({ rowId }) => rowId)).not.toContain("early");
    open.resolve();
    await early;
    await until(() => heard.length >= 1001);
    expect(heard.at(-1)).toMatchObject({ rowId: "early", seq: 1001 });
    expect(await b.changes(1000, 10)).toMatchObject([{ rowId: "early" }]);
    await holder.close();
  });

  test("a change that depends on another comes after it", async () => {
    const heard = hearing(b);
    await add(a, "x");
    for (let n = 0; n < 40; n += 1) {
      const store = n % 2 === 0 ? a : b;
      await store.transact(async (tx) => {
        const row = await tx.get("Note", "x");
        const after = { id: "x", text: `${String(row?.["text"])}.`, code: null };
        await tx.update("Note", "x", { text: after.text });
        await tx.append({ entity: "Note", rowId: "x", kind: "update", before: null, after, at: n });
      });
    }
    await until(() => heard.length >= 41);
    expect(heard.map(({ after }) => String(after?.["text"]).length)).toEqual(
      Array.from({ length: 41 }, (_, n) => n + 1),
    );
  });

  test("only one of two replicas can assign a unique value at the same time", async () => {
    const take = (store: Store, id: string): Promise<void> =>
      store.transact((tx) => tx.insert("Note", { id, text: "t", code: "only" }));
    const outcomes = await Promise.allSettled([
      take(a, "1"),
      take(b, "2"),
      take(a, "3"),
      take(b, "4"),
    ]);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes)
      if (outcome.status === "rejected")
        expect(outcome.reason).toMatchObject({ code: "UNIQUE_VIOLATION", field: "code" });
  });

  test("a replica without notifications finds the changes by polling", async () => {
    const heard = hearing(b);
    const admin = new Client({ connectionString: url });
    await admin.connect();
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'pylon listen' AND datname = current_database()`,
    );
    await add(a, "x");
    await until(() => heard.length === 1);
    await admin.end();
  });

  test("work behind a pooler without sessions, prepared statements and notifications", async () => {
    await using pooler = await PgBouncer.start(url);
    const [c, d] = await Promise.all([openReplica(pooler.url), openReplica(pooler.url)]);
    const heard = hearing(d);
    await Promise.all(Array.from({ length: 100 }, (_, n) => add(n % 2 === 0 ? c : d, `n${n}`)));
    await Promise.all(Array.from({ length: 100 }, (_, n) => c.get("Note", `n${n}`)));
    await until(() => heard.length === 100);
    expect(await d.count("Note")).toBe(100);
    await Promise.all([c.close(), d.close()]);
  });
});

describe("an unavailable Postgres", () => {
  test("comes back with acknowledged writes exactly once, and the store continues", async () => {
    await using server = await PostgresServer.start(WITHOUT_FLUSHING);
    const url = await server.createDatabase();
    const states: string[] = [];
    const store = await openReplica(url, { onState: (state) => states.push(state) });
    const heard = hearing(store);
    const acknowledged: string[] = [];
    const refused: unknown[] = [];
    let isOn = true;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; isOn; n += 1) {
        const id = `w${writer}n${n}`;
        try {
          await add(store, id);
          acknowledged.push(id);
        } catch (error) {
          refused.push(error);
        }
      }
    });
    await until(() => acknowledged.length > 100);
    states.length = 0;
    await server.down();
    await until(() => states.length > 0);
    await server.up();
    const after = acknowledged.length;
    await until(() => acknowledged.length > after + 100);
    isOn = false;
    await Promise.all(writers);
    const rows = await store.select({ entity: "Note" });
    const ids = new Set(rows.map(({ id }) => id));
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
    await store.settle();
    expect(heard.map(({ rowId }) => rowId).toSorted()).toEqual([...ids].toSorted());
    for (const error of refused) expect(error).toMatchObject({ code: "OVERLOADED" });
    await store.close();
  }, 60_000);

  test("that became read-only serves reads, and is written again after that", async () => {
    const url = await createDatabase(sharedPostgresUrl());
    const states: string[] = [];
    const store = await openReplica(url, { onState: (state) => states.push(state) });
    await add(store, "before");
    await store.settle();
    await using admin = await Admin.of(url);
    await admin.alter("SET default_transaction_read_only = on");
    await admin.cutConnections();
    await expect(add(store, "during")).rejects.toMatchObject({
      code: "OVERLOADED",
      message: "The database is read-only.",
    });
    expect(await store.get("Note", "before")).not.toBeNull();
    expect(await store.ping()).toBe("read-only");
    // The connections stay: as after a failover, some of them lead to a read-only server.
    await admin.alter("RESET default_transaction_read_only");
    await add(store, "after");
    expect(await store.ping()).toBe("up");
    expect((await store.select({ entity: "Note" })).map(({ id }) => id)).toEqual([
      "after",
      "before",
    ]);
    await store.close();
  }, 60_000);

  test("whose log can't be numbered because it is read-only is reported as such", async () => {
    const url = await createDatabase(sharedPostgresUrl());
    const states: (readonly [string, unknown?])[] = [];
    const store = await openReplica(url, { onState: (...state) => states.push(state) });
    await using admin = await Admin.of(url);
    await admin.alter("SET default_transaction_read_only = on");
    await admin.cutConnections();
    // Another server has committed a change, which no replica has numbered.
    await admin.run(
      `BEGIN READ WRITE;
       INSERT INTO "_pylon_changes" (entity, row_id, kind, after, at)
         VALUES ('Note', 'other', 'insert', '{"id":"other"}', 1);
       COMMIT`,
    );
    await until(() => states.length > 0);
    expect(states).toMatchObject([["read-only", { code: "25006" }]]);
    await admin.alter("RESET default_transaction_read_only");
    await until(() => states.length > 1);
    expect(states.map(([state]) => state)).toEqual(["read-only", "back"]);
    await store.close();
  }, 60_000);

  test("that refuses connections, whatever the reason, is waited for", async () => {
    const url = await createDatabase(sharedPostgresUrl());
    const states: (readonly [string, unknown?])[] = [];
    const store = await openReplica(url, { onState: (...state) => states.push(state) });
    await using admin = await Admin.of(url);
    await admin.alter("WITH ALLOW_CONNECTIONS false");
    await admin.cutConnections();
    const works = [add(store, "x"), store.get("Note", "x"), store.ping()];
    const refusal = { code: "OVERLOADED", message: "The database can't be reached." };
    expect(await Promise.allSettled(works)).toMatchObject(
      works.map(() => ({ status: "rejected", reason: refusal })),
    );
    await until(() => states.length > 0);
    const reason = expect.stringContaining("not currently accepting connections") as string;
    expect(states).toMatchObject([["lost", { message: reason }]]);
    await admin.alter("WITH ALLOW_CONNECTIONS true");
    await add(store, "x");
    await until(() => states.length > 1);
    expect(await store.ping()).toBe("up");
    await store.close();
  }, 60_000);

  test("that ends a statement because of its time limit makes only that work fail", async () => {
    const url = await createDatabase(sharedPostgresUrl());
    const limits = { ...SESSION_LIMITS, lockMs: 60_000, statementMs: 500 };
    const store = await openReplica(url, { limits });
    const other = new Client({ connectionString: url });
    await other.connect();
    await other.query('BEGIN; LOCK TABLE "Note"');
    const works = [add(store, "x"), store.get("Note", "x")];
    const refusal = { code: "QUERY_TIMEOUT", message: "The database has ended a statement." };
    expect(await Promise.allSettled(works)).toMatchObject(
      works.map(() => ({ status: "rejected", reason: refusal })),
    );
    await other.end();
    await add(store, "x");
    expect(await store.get("Note", "x")).not.toBeNull();
    await store.close();
  }, 30_000);

  test("without a free connection is named as such, and waited for at the start", async () => {
    await using server = await PostgresServer.start([...WITHOUT_FLUSHING, "max_connections=20"]);
    const url = await server.createDatabase();
    const others: Client[] = [];
    for (let isFree = true; isFree;) {
      const other = new Client({ connectionString: url });
      other.on("error", () => undefined);
      isFree = await other.connect().then(
        () => true,
        () => false,
      );
      if (isFree) others.push(other);
    }
    await expect(openReplica(url)).rejects.toThrow(/has no free connection .*max_connections/);
    const opened = openReplica(url, { startTimeoutMs: 20_000 });
    await Promise.all(others.map((other) => other.end()));
    await (await opened).close();
  }, 60_000);

  test("is reported in time and without a password", async () => {
    await using server = await PostgresServer.start(WITHOUT_FLUSHING);
    const store = await openReplica(await server.createDatabase());
    await server.down();
    await expect(store.get("Note", "x")).rejects.toMatchObject({ code: "OVERLOADED" });
    await expect(openReplica(server.url().replace("pylon@", "pylon:canary@"))).rejects.toThrow(
      /can't be reached .*DATABASE_URL says/,
    );
    await expect(openReplica(server.url().replace("pylon@", "pylon:canary@"))).rejects.not.toThrow(
      /canary/,
    );
    await store.close();
  }, 60_000);
});
