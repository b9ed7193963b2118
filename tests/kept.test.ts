import { afterEach, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, systemPlatform, type Disk, type Platform, type SyncEngine } from "@pylonsync/sync";
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

const names = Array.from({ length: 20 }, (_, n) => `kept-${n}-${process.env["PYLON_TEST_STORE"] ?? "sqlite"}`);
const newName = (): string => names.pop() ?? "";

function connect(url: string, appName: string, token: string | null, platform: Partial<Platform> = {}): SyncEngine {
  const engine = createSyncEngine(url, { appName, token: token ?? "", reconnectDelay: 30, storage: createWriteThroughStorage({}, () => undefined), platform });
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

const noPush: Partial<Platform> = { fetch: (url, init) => (url.endsWith("/push") ? Promise.reject(new TypeError("no network")) : systemPlatform.fetch(url, init)) };
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
  await until(() => again.connected && again.status.pending === 0 && again.store.list("Item").length === 1);
  expect(JSON.parse((await ann.request("POST", "/api/query/Item", {})).text)).toMatchObject([{ n: 1 }]);
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
