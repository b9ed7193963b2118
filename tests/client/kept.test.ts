import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import type { LoadedApp } from "@pylonsync/server";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type Disk,
  type Platform,
  type SyncEngine,
} from "@pylonsync/sync";
import { forceCloseDatabase } from "fake-indexeddb";
import { TestClient, until } from "../support/client.ts";
import { useFakeIndexedDb } from "../support/fake-indexed-db.ts";
import { appOf, startServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

// What an engine persists between two visits, in cases that cannot be tested in a real browser.

const appWith = (allow: string): LoadedApp =>
  appOf(
    buildManifest({
      name: "kept",
      version: "1.0.0",
      entities: [entity("Item", { n: field.int(), ownerId: field.string().owner() })],
      policies: [policy({ name: "own", entity: "Item", allow })],
    }),
  );
const app = appWith("auth.userId == data.ownerId");

useFakeIndexedDb();

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function serve(): Promise<string> {
  const server = await startServer(app);
  cleanups.push(() => server.stop());
  return server.url;
}

const names = Array.from(
  { length: 20 },
  (_, n) => `kept-${n}-${process.env["PYLON_TEST_STORE"] ?? "sqlite"}`,
);
const newName = (): string => names.pop() ?? "";

function connect(
  url: string,
  appName: string,
  token: string | null,
  platform: Partial<Platform> = {},
): SyncEngine {
  const engine = createSyncEngine(url, {
    appName,
    token: token ?? "",
    reconnectDelay: 30,
    storage: createWriteThroughStorage({}, () => undefined),
    platform,
  });
  engine.start();
  cleanups.push(() => engine.stop());
  return engine;
}

async function diskOf(appName: string, server: string): Promise<Disk> {
  const disk = await systemPlatform.openDisk?.(appName, server);
  if (disk === undefined) throw new Error("There is no disk.");
  cleanups.push(() => disk.close());
  return disk;
}

/** The whole contents of a database, as text. */
async function textOf(name: string): Promise<string> {
  const db = await requested(indexedDB.open(name));
  const found: unknown[] = [];
  for (const store of db.objectStoreNames)
    found.push(await requested(db.transaction(store).objectStore(store).getAll()));
  db.close();
  return JSON.stringify(found);
}

function requested<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(new Error("The request failed.")));
  });
}

const noPush: Partial<Platform> = {
  fetch: (url, init) =>
    url.endsWith("/push")
      ? Promise.reject(new TypeError("no network"))
      : systemPlatform.fetch(url, init),
};
const numbers = (engine: SyncEngine): unknown[] => engine.store.list("Item").map(({ n }) => n);

test("a write for one server is neither sent to another nor dropped by it", async () => {
  const appName = newName();
  const [here, there] = [await serve(), await serve()];
  const [ann, bob] = [await TestClient.guest(here), await TestClient.guest(there)];
  const first = connect(here, appName, ann.token, noPush);
  await until(() => first.connected);
  await first.insert("Item", { n: 1 });
  first.stop();

  const other = connect(there, appName, bob.token);
  await until(() => other.connected);
  await other.insert("Item", { n: 2 });
  await other.flushed();
  expect(numbers(other)).toEqual([2]);
  other.stop();

  const again = connect(here, appName, ann.token);
  await until(
    () => again.connected && again.status.pending === 0 && again.store.list("Item").length === 1,
  );
  expect(JSON.parse((await ann.request("POST", "/api/query/Item", {})).text)).toMatchObject([
    { n: 1 },
  ]);
});

test("a write that was applied is off the disk after a stop", async () => {
  const appName = newName();
  const url = await serve();
  const { token, userId } = await TestClient.guest(url);
  const engine = connect(url, appName, token);
  await until(() => engine.connected);
  await engine.insert("Item", { n: 1 });
  await until(() => engine.mutations.all().length === 0);
  engine.stop();
  const disk = await diskOf(appName, url);
  await until(async () => (await disk.readWrites(`user:${userId}`)).length === 0, 2_000);
  expect((await disk.readReplica())?.rows).toHaveLength(1);
});

test("a sign-out before the disk is open leaves no data on it", async () => {
  const appName = newName();
  const url = await serve();
  const { token, userId } = await TestClient.guest(url);
  const first = connect(url, appName, token, noPush);
  await until(() => first.connected);
  await first.insert("Item", { n: 1 });
  first.stop();
  const disk = await diskOf(appName, url);
  expect(await disk.readWrites(`user:${userId}`)).toHaveLength(1);

  // The code of the disk is not even loaded yet.
  const again = connect(url, appName, token);
  again.session.setToken(null);
  await until(() => again.connected);
  await until(async () => (await disk.readWrites(`user:${userId}`)).length === 0, 3_000);
});

test("the client works if the disk cannot be opened at all", async () => {
  const url = await serve();
  const { token } = await TestClient.guest(url);
  const openDisk = (): never => {
    throw new Error("not here");
  };
  const engine = connect(url, newName(), token, { openDisk });
  await until(() => engine.connected, 3_000);
  await engine.insert("Item", { n: 1 });
  await engine.flushed();
});

const SESSION = { userId: "ann", tenantId: null, isAdmin: false, isGuest: false, roles: [] };
const headAt = (seq: number): Parameters<Disk["replaceReplica"]>[0] => ({
  session: SESSION,
  epoch: "e",
  seq,
});
const row = (id: string): Parameters<Disk["patchReplica"]>[2][number] => ({
  entity: "Item",
  id,
  row: { id },
});
const kept = async (disk: Disk): Promise<unknown> => {
  const replica = await disk.readReplica();
  return [replica?.head.seq, replica?.rows.map(({ id }) => id).join()];
};

test("a stored replica has no gap and never goes back, whichever tab writes", async () => {
  const disk = await diskOf(newName(), "http://server");
  await disk.replaceReplica(headAt(5), [row("a")], "one");
  // The other tab's rows start after 7, so the changes 6 and 7 are missing.
  expect(await disk.patchReplica(headAt(8), 7, [row("b")])).toBe(false);
  expect(await kept(disk)).toEqual([5, "a"]);
  expect(await disk.patchReplica(headAt(9), 4, [row("c")])).toBe(true);
  expect(await kept(disk)).toEqual([9, "a,c"]);
  await disk.replaceReplica(headAt(6), [row("a")], "two");
  expect(await kept(disk)).toEqual([9, "a,c"]);
  await disk.replaceReplica({ ...headAt(2), epoch: "f" }, [row("d")], "two");
  expect(await kept(disk)).toEqual([2, "d"]);
});

test("deleted rows leave no data on disk, however the rows are stored", async () => {
  const appName = newName();
  const disk = await diskOf(appName, "http://server");
  const rows = Array.from({ length: 1_200 }, (_, n) => row(`row-${n}-`));
  await disk.replaceReplica(headAt(1), rows, "one");
  const updated = { entity: "Item", id: "row-3-", row: { id: "row-3-", n: 3 } };
  expect(await disk.patchReplica(headAt(2), 1, [updated, row("new")])).toBe(true);
  const gone = ["row-0-", "row-3-", "row-1199-"].map((id) => ({ entity: "Item", id, row: null }));
  expect(await disk.patchReplica(headAt(3), 2, gone)).toBe(true);
  const ids = new Set((await disk.readReplica())?.rows.map(({ id }) => id));
  expect(ids.size).toBe(1_198);
  expect(gone.some(({ id }) => ids.has(id))).toBe(false);
  const text = await textOf(`pylon:${appName}:http://server`);
  expect(text).toContain("row-1-");
  for (const { id } of gone) expect(text).not.toContain(id);
});

test("rejects a patch if much has changed since the replica was written as a whole", async () => {
  const disk = await diskOf(newName(), "http://server");
  await disk.replaceReplica(
    headAt(1),
    Array.from({ length: 3_000 }, (_, n) => row(`old-${n}`)),
    "one",
  );
  const part = (from: number): ReturnType<typeof row>[] =>
    Array.from({ length: 1_000 }, (_, n) => row(`new-${from + n}`));
  expect(await disk.patchReplica(headAt(2), 1, part(0))).toBe(true);
  expect(await disk.patchReplica(headAt(3), 2, part(1_000))).toBe(true);
  expect(await disk.patchReplica(headAt(4), 3, part(2_000))).toBe(false);
  const replica = await disk.readReplica();
  expect([replica?.head.seq, replica?.rows.length]).toEqual([3, 5_000]);
});

test.each([1, 2, 3])(
  "the database of version %i is migrated with its unsent writes",
  async (version) => {
    const appName = newName();
    const write = {
      id: "w1",
      owner: "user:ann",
      change: { entity: "Item", row_id: "a", kind: "insert", data: { n: 1 }, op_id: "w1" },
    };
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.open(`pylon:${appName}:http://server`, version);
      request.addEventListener("error", () => reject(new Error("It can't be opened.")));
      request.addEventListener("upgradeneeded", () => {
        const db = request.result;
        if (version > 1) db.createObjectStore("chunks");
        if (version > 2) db.createObjectStore("results");
        db.createObjectStore("session");
        db.createObjectStore("head").put(headAt(5), "head");
        db.createObjectStore("rows", { keyPath: ["entity", "id"] }).put(row("b"));
        const writes = db.createObjectStore("writes", { autoIncrement: true });
        writes.createIndex("id", "id", { unique: true });
        writes.createIndex("owner", "owner");
        writes.put(write);
      });
      request.addEventListener("success", () => {
        request.result.close();
        resolve();
      });
    });
    const disk = await diskOf(appName, "http://server");
    expect(await disk.readWrites("user:ann")).toEqual([write] as never);
    expect(await kept(disk)).toEqual([5, "b"]);
    expect(await disk.patchReplica(headAt(6), 5, [{ ...row("b"), row: null }, row("c")])).toBe(
      true,
    );
    expect(await kept(disk)).toEqual([6, "c"]);
  },
);

/** Records the requests of an engine, in order. */
function recorded(paths: string[]): Partial<Platform> {
  return {
    fetch: (url, init) => {
      paths.push(new URL(url).pathname + new URL(url).search);
      return systemPlatform.fetch(url, init);
    },
  };
}
const pullsIn = (paths: readonly string[]): number =>
  paths.filter((path) => path.startsWith("/api/sync/pull")).length;

test("a second visit shows what was stored and receives only what has changed since", async () => {
  const appName = newName();
  const url = await serve();
  const { token, userId } = await TestClient.guest(url);
  const first = connect(url, appName, token);
  await until(() => first.connected);
  const gone = await first.insert("Item", { n: 1 });
  const changed = await first.insert("Item", { n: 2 });
  await first.insert("Item", { n: 3 });
  await first.flushed();
  const disk = await diskOf(appName, url);
  await until(async () => (await disk.readReplica())?.rows.length === 3);
  first.stop();
  const other = new TestClient(url, token, userId);
  await other.request("DELETE", `/api/entities/Item/${gone}`);
  await other.request("PATCH", `/api/entities/Item/${changed}`, { n: 20 });
  await other.insert("Item", { n: 4 });
  const paths: string[] = [];
  const second = connect(url, appName, token, recorded(paths));
  const seen: boolean[] = [];
  second.onStatus(({ ready, stale }) => ready && seen.push(stale));
  await until(() => second.connected && !second.status.stale);
  expect([seen[0], seen.at(-1)]).toEqual([true, false]);
  expect(new Set(numbers(second))).toEqual(new Set([20, 3, 4]));
  expect(pullsIn(paths)).toBe(0);
  // The cursor of the visit is stored, although it is not part of a row.
  await until(async () => (await disk.readReplica())?.head.seq === second.getCursor().last_seq);
  expect((await disk.readReplica())?.rows).toHaveLength(3);
});

test("a query shows its last result immediately, while the replica is still read", async () => {
  const appName = newName();
  const url = await serve();
  const { token, userId } = await TestClient.guest(url);
  const options = { where: { n: { $gt: 1 } }, orderBy: { n: "desc" as const }, limit: 2 };
  const first = connect(url, appName, token);
  const shownBefore = first.query("Item", options);
  shownBefore.subscribe(() => undefined);
  await until(() => first.connected);
  for (const n of [1, 2, 3, 4]) await first.insert("Item", { n });
  await first.flushed();
  const name = `pylon:${appName}:${url}`;
  await until(() => first.mutations.all().length === 0);
  // A later patch of the replica would invalidate the results until they are written again.
  await until(async () => {
    const kept = await (await diskOf(appName, url)).readResults?.();
    const isCurrent = kept?.head.seq === first.store.cursor.last_seq;
    return isCurrent && kept.results[0]?.rows.map(({ n }) => n).join() === "4,3";
  });
  first.stop();
  let read: () => void = () => undefined;
  const mayRead = new Promise<void>((resolve) => {
    read = resolve;
  });
  const second = connect(url, appName, token, {
    // Disables the long timeouts, so that the client does not give up on a slow disk.
    after: (ms, run) => (ms < 2_000 ? systemPlatform.after(ms, run) : () => undefined),
    openDisk: async (...args) => {
      const disk = await diskOf(...args);
      const { readReplica } = disk;
      disk.readReplica = async () => {
        await mayRead;
        return readReplica.call(disk);
      };
      return disk;
    },
  });
  const list = second.query("Item", options);
  const other = second.query("Item", { limit: 2 });
  let told = 0;
  list.subscribe(() => (told += 1));
  await until(() => list.getSnapshot().length === 2);
  expect(told).toBeGreaterThan(0);
  expect(second.status.ready).toBe(false);
  expect(other.getSnapshot()).toEqual([]);
  const shown = list.getSnapshot();
  expect(shown.map(({ n }) => n)).toEqual([4, 3]);
  read();
  await until(() => second.connected && second.store.list("Item").length === 4);
  expect(list.getSnapshot()).toBe(shown);
  // The deleted row is no longer shown, and leaves no data on disk.
  const [gone] = shown;
  await new TestClient(url, token, userId).request("DELETE", `/api/entities/Item/${gone?.id}`);
  await until(async () => !(await textOf(name)).includes(gone?.id ?? ""));
  expect(list.getSnapshot().map(({ n }) => n)).toEqual([3, 2]);
  second.setToken(null);
  await until(async () => !(await textOf(name)).includes('"n":'));
});

test("a stored replica is not continued if the policies have changed", async () => {
  const appName = newName();
  const dir = mkdtempSync(join(tmpdir(), "pylon-kept-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  const env = {
    PYLON_PORT: String(await freePort()),
    PYLON_IN_MEMORY: "0",
    PYLON_DB_PATH: join(dir, "kept.db"),
    PYLON_DRAIN_SECS: "0",
  };
  const before = await startServer(app, env);
  const { token } = await TestClient.guest(before.url);
  const first = connect(before.url, appName, token);
  await until(() => first.connected);
  for (const n of [1, 2]) await first.insert("Item", { n });
  await first.flushed();
  const disk = await diskOf(appName, before.url);
  await until(async () => (await disk.readReplica())?.rows.length === 2);
  first.stop();
  await before.stop();
  const after = await startServer(appWith("auth.userId == data.ownerId && data.n > 1"), env);
  cleanups.push(() => after.stop());
  const paths: string[] = [];
  const second = connect(after.url, appName, token, recorded(paths));
  await until(() => second.connected && numbers(second).length === 1);
  expect(numbers(second)).toEqual([2]);
  expect(pullsIn(paths)).toBe(1);
  await until(async () => (await disk.readReplica())?.rows.length === 1);
});

test("a tab stores its whole replica if the stored one lacks rows", async () => {
  const appName = newName();
  const url = await serve();
  const { token } = await TestClient.guest(url);
  const engine = connect(url, appName, token);
  await until(() => engine.connected);
  await engine.insert("Item", { n: 1 });
  const disk = await diskOf(appName, url);
  await until(async () => (await disk.readReplica())?.rows.length === 1);
  const replica = await disk.readReplica();
  if (replica === null) throw new Error("There is no replica.");
  // A snapshot from before the row, which a slow tab took longer to write.
  await disk.dropReplica();
  await disk.replaceReplica({ ...replica.head, seq: 0 }, [], "slow");
  await engine.insert("Item", { n: 2 });
  await until(async () => (await disk.readReplica())?.rows.length === 2);
});

test("C1: an unsendable write of an earlier version is set aside", async () => {
  const appName = newName();
  const url = await serve();
  const { token, userId } = await TestClient.guest(url);
  const cycle: Record<string, unknown> = { n: 3 };
  cycle["self"] = cycle;
  const disk = await diskOf(appName, url);
  const write = (
    id: string,
    data: Record<string, unknown>,
  ): Parameters<Disk["addWrites"]>[0][number] => ({
    id,
    owner: `user:${userId}`,
    change: { entity: "Item", row_id: id, kind: "insert", data, op_id: id },
  });
  await disk.addWrites([
    write("a", { n: 1 }),
    write("b", { n: 2n }),
    write("c", cycle),
    write("d", { n: 4 }),
  ]);
  const engine = connect(url, appName, token);
  const refused: string[] = [];
  engine.onError(({ rowId, code }) => refused.push(`${rowId} ${code}`));
  await until(
    () => engine.connected && refused.length === 2 && engine.mutations.all().length === 0,
  );
  expect(refused).toEqual(["b UNSENDABLE", "c UNSENDABLE"]);
  expect(new Set(numbers(engine))).toEqual(new Set([1, 4]));
  await until(async () => (await disk.readWrites(`user:${userId}`)).length === 0);
});

/** Collects the databases that the fake browser opens, so that the test can close them. */
function openedInto(opened: IDBDatabase[]): void {
  const open = IDBFactory.prototype.open;
  IDBFactory.prototype.open = function (...args) {
    const request = open.apply(this, args);
    request.addEventListener("success", () => opened.push(request.result));
    return request;
  };
  cleanups.push(() => {
    IDBFactory.prototype.open = open;
  });
}

test.each(["with a close event", "without a close event"])(
  "C4: a connection that the browser closes %s is opened again",
  async (how) => {
    const appName = newName();
    const url = await serve();
    const { token, userId } = await TestClient.guest(url);
    const opened: IDBDatabase[] = [];
    openedInto(opened);
    const engine = connect(url, appName, token, noPush);
    await until(() => engine.connected);
    await engine.insert("Item", { n: 1 });
    for (const n of [2, 3]) {
      for (const db of opened.splice(0)) {
        if (how === "with a close event")
          forceCloseDatabase(db as unknown as Parameters<typeof forceCloseDatabase>[0]);
        else db.close();
      }
      await engine.insert("Item", { n });
    }
    const disk = await diskOf(appName, url);
    expect((await disk.readWrites(`user:${userId}`)).map(({ change }) => change.data)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ]);
    // The replica is updated too.
    const other = new TestClient(url, token, userId);
    await other.insert("Item", { n: 4 });
    await until(async () => (await disk.readReplica())?.rows.length === 1);
  },
);

test("C4: a database deleted while in use is created again", async () => {
  const appName = newName();
  const url = await serve();
  const { token, userId } = await TestClient.guest(url);
  const engine = connect(url, appName, token, noPush);
  await until(() => engine.connected);
  await engine.insert("Item", { n: 1 });
  await new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(`pylon:${appName}:${url}`);
    request.addEventListener("success", resolve);
    request.addEventListener("error", reject);
  });
  await engine.insert("Item", { n: 2 });
  const disk = await diskOf(appName, url);
  expect(await disk.readWrites(`user:${userId}`)).toMatchObject([{ change: { data: { n: 2 } } }]);
});

describe("C4: when the disk no longer accepts writes, the promise", () => {
  const failing = (isFull: () => boolean): Partial<Platform> => ({
    openDisk: async (...args) => {
      const disk = await diskOf(...args);
      const { addWrites } = disk;
      disk.addWrites = (writes) =>
        isFull()
          ? Promise.reject(new DOMException("full", "QuotaExceededError"))
          : addWrites.call(disk, writes);
      return disk;
    },
  });

  test("waits for the server's response", async () => {
    const url = await serve();
    const { token } = await TestClient.guest(url);
    let isFull = false;
    const engine = connect(
      url,
      newName(),
      token,
      failing(() => isFull),
    );
    await until(() => engine.connected);
    isFull = true;
    await engine.insert("Item", { n: 1 });
    expect(engine.mutations.pending()).toEqual([]);
    await expect(engine.update("Item", "nothing", { n: 1 })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  test("rejects if the server is unreachable, and the write is still sent", async () => {
    const url = await serve();
    const { token } = await TestClient.guest(url);
    let [isFull, isAway] = [false, false];
    const engine = connect(url, newName(), token, {
      ...failing(() => isFull),
      fetch: (target, init) =>
        isAway ? Promise.reject(new TypeError("no network")) : systemPlatform.fetch(target, init),
    });
    await until(() => engine.connected);
    isFull = isAway = true;
    // With the first write, the client finds that the server is unreachable.
    const first = engine.insert("Item", { n: 1 });
    await until(() => engine.status.connection === "offline");
    await expect(engine.insert("Item", { n: 2 })).rejects.toMatchObject({ code: "NOT_KEPT" });
    expect(new Set(numbers(engine))).toEqual(new Set([1, 2]));
    isAway = false;
    await until(() => engine.mutations.all().length === 0);
    await first;
  });
});
