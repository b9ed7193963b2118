import { describe, expect, test } from "bun:test";
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { action, mutation, query } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { spawnSync } from "node:child_process";
import {
  noteApp,
  pylon,
  PylonProcess,
  TempFolder,
} from "../../packages/cli/src/testing/pylon-process.ts";
import { canMountDisks, SmallDisk } from "../../packages/cli/src/testing/small-disk.ts";
import { TestClient, until, type Answer } from "../support/client.ts";
import { openDatabaseFile } from "../support/database-file.ts";
import { appOf, startServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "storage",
    version: "1.0.0",
    access: "public",
    entities: [entity("Note", { text: field.string() })],
  }),
  {
    all: query({ args: {}, handler: (ctx) => ctx.db.list("Note") }),
    add: mutation({
      args: {},
      handler: (ctx) => ctx.db.insert("Note", { text: "x".repeat(100_000) }),
    }),
    addByAction: action({ args: {}, handler: (ctx) => ctx.runMutation("add", {}) }),
  },
);

const UNAVAILABLE = { status: 503, body: { error: { code: "STORAGE_UNAVAILABLE" } } };

test("F5: a damaged file is a storage failure, and makes the server not ready", async () => {
  using folder = new TempFolder();
  const path = join(folder.path, "pylon.db");
  const server = await startServer(app, {
    PYLON_DB_PATH: path,
    PYLON_IN_MEMORY: "0",
  });
  const client = await TestClient.guest(server.url);
  for (let n = 0; n < 10; n += 1) await client.request("POST", "/api/fn/add", {});
  const other = openDatabaseFile(path);
  other.run("PRAGMA wal_checkpoint(TRUNCATE)");
  other.close();
  destroyPages(path);
  expect(await client.request("POST", "/api/query/Note", {})).toMatchObject(UNAVAILABLE);
  expect(await client.request("POST", "/api/fn/all", {})).toMatchObject(UNAVAILABLE);
  // A recent result of the check is reused.
  await until(async () => (await client.request("GET", "/readyz")).status === 503);
  await server.stop();
});

/** Overwrites all pages of a database except the first ones, which contain its schema. */
function destroyPages(path: string): void {
  const file = openSync(path, "r+");
  const page = Buffer.alloc(4096, 0xee);
  for (let at = 300 * 1024; at + page.length <= statSync(path).size; at += page.length)
    writeSync(file, page, 0, page.length, at);
  closeSync(file);
}

describe.skipIf(!canMountDisks())("on a separate disk", () => {
  test("F5: a full disk is a storage failure until there is space again", async () => {
    using folder = new TempFolder();
    using disk = new SmallDisk(join(folder.path, "disk"));
    disk.resize("3m");
    const path = join(folder.path, "disk", "pylon.db");
    const server = await startServer(app, {
      PYLON_DB_PATH: path,
      PYLON_IN_MEMORY: "0",
    });
    await using stopping = new AsyncDisposableStack();
    stopping.defer(() => server.stop());
    const client = await TestClient.guest(server.url);
    let answer = await client.request("POST", "/api/fn/add", {});
    for (let n = 0; n < 100 && answer.status === 200; n += 1)
      answer = await client.request("POST", "/api/fn/add", {});
    expect(answer).toMatchObject(UNAVAILABLE);
    expect(await client.request("POST", "/api/fn/addByAction", {})).toMatchObject(UNAVAILABLE);
    expect(
      await client.request("POST", "/api/entities/Note", { text: "y".repeat(100_000) }),
    ).toMatchObject(UNAVAILABLE);
    expect((await client.request("POST", "/api/query/Note", {})).status).toBe(200);
    await until(async () => {
      const { status, body } = await client.request("GET", "/readyz");
      expect(status).toBe(200);
      return JSON.stringify(body).includes('"database":"read-only"');
    });
    disk.resize("30m");
    expect((await client.request("GET", "/readyz")).status).toBe(200);
    expect((await client.request("POST", "/api/fn/add", {})).status).toBe(200);
  });

  test("F5: the log of a server whose disk is full says that reads work", async () => {
    using folder = new TempFolder();
    folder.write({ "app.ts": noteApp("text: field.string()") });
    const path = join(folder.path, "disk");
    using disk = new SmallDisk(path);
    disk.resize("3m");
    const env = { PYLON_DB_PATH: join(path, "pylon.db"), PYLON_LOG_FORMAT: "json" };
    const server = new PylonProcess(["start", "--port", "0"], folder.path, env);
    const { port } = await server.event();
    const client = await TestClient.guest(`http://127.0.0.1:${String(port)}`);
    const insert = (): Promise<Answer> =>
      client.request("POST", "/api/entities/Note", { text: "x".repeat(100_000) });
    while ((await insert()).status === 201);
    await server.said("database can't be written: reads work, writes fail until it can");
    disk.resize("30m");
    await until(async () => (await insert()).status === 201);
    await server.said("database is back");
    expect(await server.end()).toBe(0);
    expect(await server.stderr).not.toContain("reads and writes fail");
  });

  test("F5: a server does not start on a read-only disk, and says why", async () => {
    using folder = new TempFolder();
    folder.write({ "app.ts": noteApp("text: field.string()") });
    const path = join(folder.path, "disk");
    using disk = new SmallDisk(path);
    disk.resize("3m");
    const env = { PYLON_DB_PATH: join(path, "pylon.db"), PYLON_LOG_FORMAT: "json" };
    const first = new PylonProcess(["start", "--port", "0"], folder.path, env);
    await first.event();
    expect(await first.end()).toBe(0);
    spawnSync("mount", ["-o", "remount,ro", path]);
    const { exitCode, stderr } = await pylon(["start", "--port", "0"], folder.path, env);
    expect(exitCode).toBe(1);
    spawnSync("mount", ["-o", "remount,rw", path]);
    expect(stderr).toMatch(/The database .*pylon\.db can't be used/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
