import { afterEach, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type Disk,
  type Platform,
  type SyncEngine,
} from "@pylonsync/sync";
import { TestClient, until } from "./support/client.ts";
import { useFakeIndexedDb } from "./support/fake-indexed-db.ts";
import { appOf, startServer } from "./support/server.ts";

// What an engine keeps between two visits, where a browser would be too coarse to be asked.

const app = appOf(
  buildManifest({
    name: "kept",
    version: "1.0.0",
    entities: [entity("Item", { n: field.int(), ownerId: field.string().owner() })],
    policies: [policy({ name: "own", entity: "Item", allow: "auth.userId == data.ownerId" })],
  }),
);

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

const noPush: Partial<Platform> = {
  fetch: (url, init) =>
    url.endsWith("/push")
      ? Promise.reject(new TypeError("no network"))
      : systemPlatform.fetch(url, init),
};
const numbers = (engine: SyncEngine): unknown[] => engine.store.list("Item").map(({ n }) => n);

test("what waits for one server is neither sent to another one of the same page, nor dropped by it", async () => {
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

test("a disk that can't even be asked for changes nothing", async () => {
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

test("a kept replica goes on without a hole, and never back, whichever tab writes", async () => {
  const disk = await diskOf(newName(), "http://server");
  await disk.replaceReplica(headAt(5), [row("a")], "one");
  // The other tab's rows begin after 7: what happened at 6 and 7 is not among them.
  expect(await disk.patchReplica(headAt(8), 7, [row("b")])).toBe(false);
  expect(await kept(disk)).toEqual([5, "a"]);
  expect(await disk.patchReplica(headAt(9), 4, [row("c")])).toBe(true);
  expect(await kept(disk)).toEqual([9, "a,c"]);
  await disk.replaceReplica(headAt(6), [row("a")], "two");
  expect(await kept(disk)).toEqual([9, "a,c"]);
  await disk.replaceReplica({ ...headAt(2), epoch: "f" }, [row("d")], "two");
  expect(await kept(disk)).toEqual([2, "d"]);
});

test("where another tab has left less than a tab needs to go on from, the tab keeps all of its own", async () => {
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
