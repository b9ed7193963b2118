import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { query } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { PylonProcess, TempFolder } from "../../packages/cli/src/testing/pylon-process.ts";
import { TestClient, until, type Answer } from "../support/client.ts";
import { openDatabaseFile } from "../support/database-file.ts";
import { isRunning, readersOf } from "../support/reader-processes.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

/**
 * To read an Item, the server looks for a Note below its `low`. None exists, so it scans them all.
 */
const manifest = buildManifest({
  name: "slow",
  version: "1.0.0",
  access: "public",
  entities: [
    entity("Item", { text: field.string(), low: field.int() }),
    entity(
      "Note",
      { n: field.int(), ownerId: field.string() },
      { indexes: [{ name: "by_owner", fields: ["ownerId"], unique: false }] },
    ),
  ],
  policies: [policy({ name: "below", entity: "Item", allow: "exists(Note, n < data.low)" })],
});

/** Takes 400 million steps, except for the admin. */
const SLOW = "/api/query/Item";
const LIKES = { $or: Array.from({ length: 16 }, (_, n) => ({ text: { $like: `${n}` } })) };
/** A fast query, but the server can't be sure of that in advance. */
const UNSURE = { ownerId: "owner-1", $order: { n: "desc" }, $limit: 1 };

const folder = new TempFolder();
let databases = 0;
const servers: TestServer[] = [];
afterEach(async () => {
  for (const { stop } of servers.splice(0)) await stop();
});

/** A server with 20,000 rows of each entity. */
async function serverWithRows(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const { server, path } = await emptyServer(env);
  fill(path);
  return server;
}

async function emptyServer(
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly server: TestServer; readonly path: string }> {
  const path = join(folder.path, `${(databases += 1)}.db`);
  const functions = {
    endless: query({
      handler: async (ctx) => {
        for (;;) await ctx.db.query("Item", LIKES);
      },
    }),
  };
  const server = await startServer(appOf(manifest, functions), {
    PYLON_DB_PATH: path,
    PYLON_IN_MEMORY: "0",
    PYLON_QUERY_TIMEOUT: "1",
    ...env,
  });
  servers.push(server);
  return { server, path };
}

function fill(path: string): void {
  using database = openDatabaseFile(path);
  const rows =
    "WITH RECURSIVE rows(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM rows WHERE i < 20000)";
  database.run(
    `INSERT INTO "Note" (id, n, ownerId) ${rows} SELECT printf('row-%05d', i), i, 'owner-' ` +
      "|| (i % 100) FROM rows",
  );
  database.run(
    `INSERT INTO "Item" (id, text, low) ${rows} SELECT printf('row-%05d', i), 'a text', 0 ` +
      "FROM rows",
  );
}

function ask(client: TestClient, filter: unknown): Promise<Answer> {
  return client.request("POST", "/api/query/Note", filter);
}

function codeOf({ status, body }: Answer): unknown[] {
  return [status, (body["error"] as { code?: string } | undefined)?.code];
}

const TIMED_OUT = [503, "QUERY_TIMEOUT"];

test("D1: a read that takes too long is ended, and meanwhile others are served", async () => {
  const { url } = await serverWithRows({ PYLON_QUERY_TIMEOUT: "3" });
  const attacker = await TestClient.guest(url);
  const other = new TestClient(url, ADMIN_TOKEN);
  let isOver = false;
  const attack = attacker.request("POST", SLOW, {}).finally(() => {
    isOver = true;
  });
  await until(() => readersOf(process.pid).length > 0);
  expect((await other.request("GET", "/health")).status).toBe(200);
  expect((await other.request("GET", "/api/entities/Note/row-00001")).status).toBe(200);
  expect((await other.request("GET", "/api/entities/Note?limit=50")).status).toBe(200);
  expect((await other.request("GET", "/api/lookup/Note/id/row-00002")).status).toBe(200);
  expect((await ask(other, UNSURE)).status).toBe(200);
  expect(isOver).toBe(false);
  expect(codeOf(await attack)).toEqual(TIMED_OUT);
  // The process of that read is gone, and another one responds.
  expect((await ask(attacker, UNSURE)).body).toHaveLength(1);
  const metrics = await other.request("GET", "/metrics");
  expect(metrics.text).toContain('pylon_reads_ended_total{reason="timeout"} 1\n');
});

test("D1: a caller with many slow reads leaves a reader for others", async () => {
  const { url } = await serverWithRows({ PYLON_QUERY_TIMEOUT: "3" });
  const attacker = await TestClient.guest(url);
  const other = new TestClient(url, ADMIN_TOKEN);
  let ended = 0;
  const attacks = Array.from({ length: 8 }, () =>
    attacker.request("POST", SLOW, {}).finally(() => {
      ended += 1;
    }),
  );
  await until(() => readersOf(process.pid).length > 1);
  expect((await ask(other, UNSURE)).status).toBe(200);
  expect(ended).toBeLessThan(attacks.length);
  for (const attack of await Promise.all(attacks))
    expect(["QUERY_TIMEOUT", "OVERLOADED"]).toContain(String(codeOf(attack)[1]));
}, 30_000);

test("D1: every read with a caller's condition is limited in time", async () => {
  const { url } = await serverWithRows({ PYLON_FN_CALL_TIMEOUT: "1" });
  const caller = await TestClient.guest(url);
  const answers = await Promise.all([
    caller.request("POST", SLOW, { text: "a text" }),
    caller.request("POST", "/api/query", { Item: {} }),
    caller.request("POST", "/api/aggregate/Item", { count: true, groupBy: ["text"] }),
    caller.request("GET", "/api/entities/Item"),
    caller.request("GET", "/api/entities/Item/cursor"),
    caller.request("GET", "/api/lookup/Item/text/a%20text"),
    caller.request("GET", "/api/sync/pull?since=0"),
  ]);
  for (const answer of answers)
    expect(["QUERY_TIMEOUT", "OVERLOADED"]).toContain(String(codeOf(answer)[1]));
  expect(answers.map((answer) => codeOf(answer)[1])).toContain("QUERY_TIMEOUT");
  // The reads of a function may take as long as the function.
  const endless = await caller.request("POST", "/api/fn/endless", {});
  expect(codeOf(endless)).toEqual([504, "FN_TIMEOUT"]);
});

test("D1: a read whose process is killed gets an error, and the next one works", async () => {
  const { url } = await serverWithRows({ PYLON_QUERY_TIMEOUT: "60" });
  const caller = await TestClient.guest(url);
  const read = caller.request("POST", SLOW, {});
  await until(() => readersOf(process.pid).length > 0);
  for (const pid of readersOf(process.pid)) process.kill(pid, "SIGKILL");
  expect(codeOf(await read)).toEqual([503, "OVERLOADED"]);
  expect((await ask(caller, UNSURE)).status).toBe(200);
});

test("D1: a read after a completed write sees it, wherever it runs", async () => {
  const { server } = await emptyServer({ PYLON_QUERY_TIMEOUT: "30" });
  const caller = new TestClient(server.url, ADMIN_TOKEN);
  for (let n = 1; n <= 30; n += 1) {
    await caller.insert("Note", { n, ownerId: "me" });
    expect((await ask(caller, { n, $order: { n: "desc" } })).body).toHaveLength(1);
    expect((await ask(caller, { ownerId: "me", $limit: 100 })).body).toHaveLength(n);
  }
});

test("D1: a stopping server responds to running reads, and ends its processes", async () => {
  const { url, server } = await serverWithRows();
  servers.length = 0;
  const read = (await TestClient.guest(url)).request("POST", SLOW, {});
  await until(() => readersOf(process.pid).length > 0);
  const readers = readersOf(process.pid);
  await server.stop();
  expect(codeOf(await read)).toEqual(TIMED_OUT);
  expect(readers.filter(isRunning)).toEqual([]);
});

test("D1: a killed server leaves no process behind, even in the middle of a read", async () => {
  using place = new TempFolder();
  place.write({
    "app.ts": `export { default } from "./manifest.json" with { type: "json" };\n`,
    "manifest.json": JSON.stringify(manifest),
  });
  const path = join(place.path, "pylon.db");
  await using server = new PylonProcess(["start", "--port", "0"], place.path, {
    PYLON_DB_PATH: path,
    PYLON_QUERY_TIMEOUT: "60",
    PYLON_RATE_LIMIT_MAX: "0",
  });
  const { port } = await server.event();
  fill(path);
  const caller = new TestClient(`http://localhost:${String(port)}`, null);
  const cutOff = caller.request("POST", SLOW, {}).catch(() => "cut off");
  await until(() => readersOf(server.pid).length > 0);
  const readers = readersOf(server.pid);
  process.kill(server.pid, "SIGKILL");
  expect(await cutOff).toBe("cut off");
  await until(() => !readers.some(isRunning));
});
