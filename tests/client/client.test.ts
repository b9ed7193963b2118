import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type Platform,
  type Socket,
  type SyncEngine,
  type TransportType,
} from "@pylonsync/sync";
import { aMoment, TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const own = "auth.userId == data.ownerId && data.title != ''";
const app = appOf(
  buildManifest({
    name: "todos",
    version: "1.0.0",
    entities: [
      entity("Todo", {
        title: field.string(),
        done: field.bool().default(false),
        ownerId: field.string().owner(),
      }),
    ],
    policies: [policy({ name: "own", entity: "Todo", allow: own })],
  }),
  {
    add: mutation({
      args: { title: v.string() },
      handler: async (ctx, { title }) => ({
        id: await ctx.db.insert("Todo", { title, ownerId: ctx.auth.userId ?? "" }),
      }),
    }),
  },
);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function serve(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const server = await startServer(app, env);
  cleanups.push(() => server.stop());
  return server;
}

function connect(url: string, transport: TransportType, token?: string): SyncEngine {
  const engine = createSyncEngine(url, {
    transport,
    pollInterval: 30,
    reconnectDelay: 30,
    storage: createWriteThroughStorage({}, () => undefined),
    ...(token === undefined ? {} : { token }),
  });
  engine.start();
  cleanups.push(() => engine.stop());
  return engine;
}

const titles = (engine: SyncEngine): string[] =>
  engine.store
    .list("Todo")
    .map(({ title }) => String(title))
    .toSorted();

describe.each(["websocket", "sse", "poll"] as const)("over %s", (transport) => {
  test("a write shows immediately, keeps its id, and reaches the user's other device", async () => {
    const { url } = await serve();
    const { token } = await TestClient.guest(url);
    const [phone, laptop] = [
      connect(url, transport, token ?? ""),
      connect(url, transport, token ?? ""),
    ];
    await until(() => phone.connected && laptop.connected);
    const id = await phone.insert("Todo", { title: "milk" });
    expect(phone.store.get("Todo", id)).toMatchObject({ id, title: "milk" });
    await until(() => laptop.store.get("Todo", id) !== null);
    await until(() => phone.mutations.all().length === 0);
    expect(phone.store.list("Todo")).toHaveLength(1);
    expect(phone.store.get("Todo", id)).toMatchObject({ title: "milk", done: false });

    await laptop.update("Todo", id, { done: true });
    await until(() => phone.store.get("Todo", id)?.["done"] === true);
    await phone.delete("Todo", id);
    await until(() => laptop.store.get("Todo", id) === null);
  });

  test("a rejected write is rolled back with the writes based on it, and reports why", async () => {
    const { url } = await serve();
    const { token } = await TestClient.guest(url);
    const engine = connect(url, transport, token ?? "");
    const errors: string[] = [];
    engine.onError(({ code, entity: name, kind }) => errors.push(`${kind} ${name} ${code}`));
    await until(() => engine.status.ready);
    const id = await engine.insert("Todo", { title: "" });
    await engine.update("Todo", id, { done: true });
    expect(titles(engine)).toEqual([""]);
    await expect(engine.flushed()).rejects.toMatchObject({ code: "POLICY_DENIED" });
    await until(() => engine.store.list("Todo").length === 0);
    expect(errors[0]).toBe("insert Todo POLICY_DENIED");
    expect(engine.status.pending).toBe(0);
  });

  test("offline writes and others' changes are merged after the reconnect", async () => {
    const dir = mkdtempSync(join(tmpdir(), "pylon-client-"));
    cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
    const env = {
      PYLON_IN_MEMORY: "0",
      PYLON_DB_PATH: join(dir, "c.db"),
      PYLON_DRAIN_SECS: "0",
      PYLON_SINGLE_PORT: "1",
    };
    const first = await startServer(app, env);
    const { token } = await TestClient.guest(first.url);
    const engine = connect(first.url, transport, token ?? "");
    await until(() => engine.connected);
    await engine.insert("Todo", { title: "before" });
    await until(() => engine.mutations.all().length === 0);
    await first.stop();
    await until(() => engine.status.connection === "offline");
    await engine.insert("Todo", { title: "offline" });
    expect(titles(engine)).toEqual(["before", "offline"]);
    expect(engine.status.pending).toBe(1);

    const again = await startServer(app, { ...env, PYLON_PORT: new URL(first.url).port });
    cleanups.push(() => again.stop());
    await new TestClient(again.url, token).insert("Todo", { title: "elsewhere" });
    await until(
      () => titles(engine).join() === "before,elsewhere,offline" && engine.status.pending === 0,
      10_000,
    );
    expect(
      JSON.parse(
        (await new TestClient(again.url, token).request("POST", "/api/query/Todo", {})).text,
      ),
    ).toHaveLength(3);
  });

  test("a client offline for too long loads a new snapshot, without an empty list", async () => {
    const { url, server } = await serve({ PYLON_CHANGE_LOG_MAX: "3" });
    const { token } = await TestClient.guest(url);
    const other = new TestClient(url, token);
    await other.insert("Todo", { title: "kept" });
    const gone = await other.insert("Todo", { title: "gone" });
    const engine = connect(url, transport, token ?? "");
    await until(() => titles(engine).length === 2);
    engine.stop();
    await other.request("DELETE", `/api/entities/Todo/${gone}`);
    for (let n = 0; n < 10; n += 1) await other.insert("Todo", { title: `new ${n}` });
    await server.maintain();
    const seen: number[] = [];
    engine.store.subscribe("Todo", () => seen.push(engine.store.list("Todo").length));
    engine.start();
    await until(() => titles(engine).length === 11, 10_000);
    expect(titles(engine)).not.toContain("gone");
    expect(Math.min(...seen)).toBeGreaterThan(0);
  });
});

test("another user on the same device neither sees nor sends the first user's data", async () => {
  const { url, stop } = await serve();
  const [alice, bob] = [await TestClient.guest(url), await TestClient.guest(url)];
  const engine = connect(url, "websocket", alice.token ?? "");
  await until(() => engine.connected);
  await engine.insert("Todo", { title: "alice's" });
  await until(() => engine.mutations.all().length === 0);
  expect(engine.resolvedSession().userId).toBe(alice.userId);

  const errors: string[] = [];
  engine.onError(({ code }) => errors.push(code));
  engine.stop();
  await engine.insert("Todo", { title: "alice's, not sent" });
  engine.setToken(bob.token);
  engine.start();
  await until(() => engine.resolvedSession().userId === bob.userId && engine.connected);
  await until(() => errors.length === 1);
  expect(errors).toEqual(["SESSION_CHANGED"]);
  await until(() => engine.store.list("Todo").length === 0);
  expect((await bob.request("POST", "/api/query/Todo", {})).text).toBe("[]");
  void stop;
});

test("when the session is ended elsewhere, the client reports it and stops polling", async () => {
  const { url } = await serve();
  const guest = await TestClient.guest(url);
  const engine = connect(url, "websocket", guest.token ?? "");
  await guest.insert("Todo", { title: "the guest's" });
  await until(() => engine.connected && titles(engine).length === 1);
  await guest.request("DELETE", "/api/auth/session");
  await until(() => engine.status.connection === "unauthorized");
  await until(() => engine.resolvedSession().userId === null);
  expect(titles(engine)).toEqual([]);
  await Bun.sleep(200);
  expect(engine.status.connection).toBe("unauthorized");
  await engine.signInAsGuest();
  await until(() => engine.connected);
});

test("a function is called with the session, and its row arrives", async () => {
  const { url } = await serve();
  const engine = connect(url, "websocket");
  await engine.signInAsGuest();
  await until(() => engine.connected);
  const { id } = (await engine.fn("add", { title: "by function" })) as { id: string };
  await until(() => engine.store.get("Todo", id) !== null);
  await expect(engine.fn("add", {})).rejects.toMatchObject({
    code: "INVALID_ARGS",
    status: 400,
    field: "title",
  });
});

test("a live query keeps its array until a row of its entity changes", async () => {
  const { url } = await serve();
  const engine = connect(url, "websocket");
  await engine.signInAsGuest();
  await until(() => engine.connected);
  const open = engine.query("Todo", {
    where: { done: false },
    orderBy: { title: "desc" },
    limit: 2,
  });
  for (const title of ["a", "b", "c"]) await engine.insert("Todo", { title, done: false });
  const shown = open.getSnapshot();
  expect(shown.map(({ title }) => title)).toEqual(["c", "b"]);
  expect(open.getSnapshot()).toBe(shown);
  const [first] = shown;
  await engine.update("Todo", first?.id ?? "", { done: true });
  expect(open.getSnapshot().map(({ title }) => title)).toEqual(["b", "a"]);
});

test("without a server, a call fails with a readable message", async () => {
  const { url, stop } = await startServer(app);
  const engine = connect(url, "websocket");
  await engine.signInAsGuest();
  await until(() => engine.connected);
  await stop();
  const gone = {
    name: "PylonClientError",
    code: "UNREACHABLE",
    status: 0,
    message: "The server can't be reached. Try again.",
  };
  await expect(engine.request("GET", "/api/auth/me")).rejects.toMatchObject(gone);
  await expect(engine.fn("add", { title: "lost" })).rejects.toMatchObject(gone);
  await expect(engine.signInAsGuest()).rejects.toMatchObject(gone);
});

test("a tab that missed a sign-in in another tab sends nothing as that user", async () => {
  const { url } = await serve();
  const [alice, bob] = [await TestClient.guest(url), await TestClient.guest(url)];
  const storage = createWriteThroughStorage({ pylon_token: alice.token ?? "" }, () => undefined);
  const [one, two] = [0, 1].map(() => createSyncEngine(url, { reconnectDelay: 30, storage })) as [
    SyncEngine,
    SyncEngine,
  ];
  for (const engine of [one, two]) {
    engine.start();
    cleanups.push(() => engine.stop());
  }
  await until(() => one.connected && two.connected);
  const refused: string[] = [];
  one.onError(({ code }) => refused.push(code));
  two.setToken(bob.token);
  expect(one.resolvedSession().userId).toBe(alice.userId);
  await one.insert("Todo", { title: "written as alice" });
  expect(titles(one)).toEqual([]);
  await until(() => refused.join() === "SESSION_CHANGED" && one.connected);
  expect(one.resolvedSession().userId).toBe(bob.userId);
  await one.insert("Todo", { title: "written as bob" });
  await until(() => one.mutations.all().length === 0);
  expect((await alice.request("POST", "/api/query/Todo", {})).text).toBe("[]");
  expect(JSON.parse((await bob.request("POST", "/api/query/Todo", {})).text)).toMatchObject([
    { title: "written as bob" },
  ]);
});

test("a write before the session is known belongs to the user of the token then", async () => {
  const { url } = await serve();
  const [alice, bob] = [await TestClient.guest(url), await TestClient.guest(url)];
  const storage = createWriteThroughStorage({ pylon_token: alice.token ?? "" }, () => undefined);
  const engine = createSyncEngine(url, { reconnectDelay: 30, storage });
  cleanups.push(() => engine.stop());
  const refused: string[] = [];
  engine.onError(({ code }) => refused.push(code));
  await engine.insert("Todo", { title: "alice's" });
  expect(titles(engine)).toEqual(["alice's"]);
  // Another tab signs in before this one has sent a request.
  storage.set("pylon_token", bob.token ?? "");
  engine.start();
  await until(() => engine.connected);
  await until(() => refused.length === 1);
  expect(refused).toEqual(["SESSION_CHANGED"]);
  expect((await bob.request("POST", "/api/query/Todo", {})).text).toBe("[]");
  await engine.insert("Todo", { title: "bob's" });
  await until(() => engine.mutations.all().length === 0);
  expect(titles(engine)).toEqual(["bob's"]);
});

/** The time within which a server must answer a probe. */
const PROBE_MS = 3_000;

/** Starts a timer. While a timer of a probe runs, it is in `probing`. */
function afterAs(delayMs: number, run: () => void, probing = new Set<object>()): () => void {
  const probe = {};
  if (delayMs === PROBE_MS) probing.add(probe);
  const cancel = systemPlatform.after(delayMs, () => {
    probing.delete(probe);
    run();
  });
  return () => {
    probing.delete(probe);
    cancel();
  };
}

/** A platform whose network can fail without its sockets noticing. */
function machine(): {
  readonly platform: Partial<Platform>;
  readonly say: { offline: () => void };
  network: { isThere: boolean };
} {
  const network = { isThere: true };
  const say = { offline: (): void => undefined };
  const platform: Partial<Platform> = {
    fetch: (target, init) =>
      network.isThere
        ? systemPlatform.fetch(target, init)
        : Promise.reject(new TypeError("no network")),
    onOffline: (run) => {
      say.offline = run;
      return () => undefined;
    },
  };
  return { platform, say, network };
}

test.each(["the machine reports it", "a write does not get through"])(
  "detects that the network is gone although the socket seems open, when %s",
  async (how) => {
    const { url } = await serve();
    const { platform, say, network } = machine();
    const engine = createSyncEngine(url, {
      reconnectDelay: 30,
      storage: createWriteThroughStorage({}, () => undefined),
      platform,
    });
    cleanups.push(() => engine.stop());
    await engine.signInAsGuest();
    engine.start();
    await until(() => engine.connected);
    network.isThere = false;
    if (how === "the machine reports it") say.offline();
    else await engine.insert("Todo", { title: "kept" });
    await until(() => engine.status.connection === "offline");
    network.isThere = true;
    await until(() => engine.connected && engine.status.pending === 0);
  },
);

test("stays live when the machine wrongly reports that it is offline", async () => {
  const { url } = await serve();
  const { platform, say } = machine();
  const probing = new Set<object>();
  const engine = createSyncEngine(url, {
    storage: createWriteThroughStorage({}, () => undefined),
    platform: { ...platform, after: (delayMs, run) => afterAs(delayMs, run, probing) },
  });
  cleanups.push(() => engine.stop());
  await engine.signInAsGuest();
  engine.start();
  await until(() => engine.connected);
  const seen: string[] = [];
  engine.onStatus(({ connection }) => seen.push(connection));
  say.offline();
  expect(probing.size).toBeGreaterThan(0);
  await engine.insert("Todo", { title: "goes through" });
  await until(() => engine.mutations.all().length === 0);
  // Both probes, the request and the socket, have been answered or have timed out.
  await until(() => probing.size === 0);
  expect(seen.every((connection) => connection === "live")).toBe(true);
});

test("a connection that returns while the previous one is being probed stays open", async () => {
  const { url } = await serve();
  const { platform, say } = machine();
  const sockets: Socket[] = [];
  let isSlow = false;
  /** The callbacks of the probe timers. */
  const held = new Set<() => void>();
  const hold = (run: () => void): (() => void) => {
    held.add(run);
    return () => void held.delete(run);
  };
  const engine = createSyncEngine(url, {
    reconnectDelay: 30,
    storage: createWriteThroughStorage({}, () => undefined),
    platform: {
      ...platform,
      // A dead server answers no request.
      fetch: (target, init) =>
        isSlow
          ? new Promise((_, reject) =>
              init.signal?.addEventListener("abort", () => reject(new TypeError("aborted"))),
            )
          : systemPlatform.fetch(target, init),
      openSocket: (target, protocols) => {
        const socket = systemPlatform.openSocket(target, protocols);
        sockets.push(socket);
        return socket;
      },
      after: (delayMs, run) => (delayMs === PROBE_MS ? hold(run) : afterAs(delayMs, run)),
    },
  });
  cleanups.push(() => engine.stop());
  await engine.signInAsGuest();
  engine.start();
  await until(() => engine.connected);
  isSlow = true;
  say.offline();
  isSlow = false;
  sockets[0]?.onclose?.({ code: 1006, reason: "" });
  await until(() => sockets.length === 2 && engine.connected);
  for (const run of held) run();
  await aMoment();
  expect(engine.connected).toBe(true);
  expect(sockets).toHaveLength(2);
});

test("if the server rejects a whole request, only the offending change is rejected", async () => {
  const { url } = await serve();
  const platform: Partial<Platform> = {
    fetch: async (target, init) =>
      target.endsWith("/push") && String(init.body).includes('"bad"')
        ? Response.json({ error: { code: "INVALID_DATA", message: "No." } }, { status: 400 })
        : systemPlatform.fetch(target, init),
  };
  const engine = createSyncEngine(url, {
    reconnectDelay: 30,
    storage: createWriteThroughStorage({}, () => undefined),
    platform,
  });
  cleanups.push(() => engine.stop());
  await engine.signInAsGuest();
  const refused: string[] = [];
  engine.onError(({ code }) => refused.push(code));
  for (let n = 0; n < 60; n += 1) await engine.insert("Todo", { title: n === 33 ? "bad" : "good" });
  engine.start();
  await until(() => engine.connected && engine.mutations.all().length === 0);
  expect(refused).toEqual(["INVALID_DATA"]);
  expect(titles(engine)).toEqual(Array.from({ length: 59 }, () => "good"));
});

test("without a schema, rejects invalid filters, and unknown names match no rows", async () => {
  const { url } = await serve();
  const engine = connect(url, "websocket");
  await engine.signInAsGuest();
  await engine.insert("Todo", { title: "milk" });
  expect(() => engine.query("Todo", { where: { title: { $nope: 1 } } })).toThrow(
    expect.objectContaining({ code: "INVALID_QUERY" }),
  );
  expect(engine.query("Nothing").getSnapshot()).toEqual([]);
  expect(engine.query("Todo", { where: { colour: "red" } }).getSnapshot()).toEqual([]);
  expect(engine.query("Todo", { where: { colour: null } }).getSnapshot()).toHaveLength(1);
});

test("the admin's writes are not sent without the admin token", async () => {
  const { url } = await serve();
  const storage = createWriteThroughStorage({ pylon_token: ADMIN_TOKEN }, () => undefined);
  const { platform, network } = machine();
  const engine = createSyncEngine(url, { reconnectDelay: 30, storage, platform });
  cleanups.push(() => engine.stop());
  const refused: string[] = [];
  engine.onError(({ code }) => refused.push(code));
  engine.start();
  await until(() => engine.connected);
  expect(engine.resolvedSession()).toMatchObject({ userId: null, isAdmin: true });
  network.isThere = false;
  await engine.insert("Todo", { title: "the admin's", ownerId: "somebody" });
  await until(() => engine.status.connection === "offline");
  // Another tab removes the token.
  storage.remove("pylon_token");
  network.isThere = true;
  await until(() => refused.length === 1);
  expect(refused).toEqual(["SESSION_CHANGED"]);
  await until(() => engine.connected);
  expect(engine.resolvedSession().isAdmin).toBe(false);
  expect((await new TestClient(url, ADMIN_TOKEN).request("POST", "/api/query/Todo", {})).text).toBe(
    "[]",
  );
});
