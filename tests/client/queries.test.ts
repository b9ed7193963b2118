import { afterEach, beforeEach, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type LiveList,
  type Platform,
  type QueryOptions,
  type Socket,
  type SyncEngine,
  type TransportType,
} from "@pylonsync/sync";
import fc from "fast-check";
import { aMoment, TestClient, until } from "../support/client.ts";
import { tappedSocket } from "../support/tapped-socket.ts";
import { useFakeIndexedDb } from "../support/fake-indexed-db.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// An engine whose replica holds only the results of its queries: `sync: "queries"`.

const MEMBER = "exists(Member, channel == data.channel && userId == auth.userId)";
const app = appOf(
  buildManifest({
    name: "queries",
    version: "1.0.0",
    entities: [
      entity(
        "Message",
        {
          channel: field.string(),
          text: field.string(),
          n: field.int(),
          sentAt: field.datetime().optional(),
        },
        { relations: [{ name: "replies", target: "Reply", field: "messageId", many: true }] },
      ),
      entity("Reply", { messageId: field.string(), text: field.string() }),
      entity("Member", { channel: field.string(), userId: field.string() }),
      entity("Note", { text: field.string(), ownerId: field.string().owner() }),
      entity(
        "Setting",
        { name: field.string(), ownerId: field.string().owner() },
        { offline: "all" },
      ),
    ],
    policies: [
      policy({ name: "members", entity: "Message", allow: `${MEMBER} && data.text != 'bad'` }),
      policy({ name: "replies", entity: "Reply", allowRead: "auth.userId != null" }),
      policy({ name: "set", entity: "Setting", allow: "auth.userId == data.ownerId" }),
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
      policy({ name: "seen", entity: "Member", allowRead: "auth.userId == data.userId" }),
    ],
  }),
);

useFakeIndexedDb();

const cleanups: (() => unknown)[] = [];
let server: TestServer;
let admin: TestClient;
beforeEach(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
  cleanups.push(() => server.stop());
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Client {
  readonly engine: SyncEngine;
  readonly user: TestClient;
  /** The sockets that it has opened. */
  readonly sockets: Socket[];
  /** The number of characters received over sockets and live requests. */
  readonly received: () => number;
  /** Closes its live connection. */
  readonly lose: () => void;
}

/** Requests of live connections that the test can abort. */
function breakable(
  onText: (length: number) => void,
  inner: typeof fetch | Platform["fetch"] = fetch,
): {
  readonly fetch: Platform["fetch"];
  readonly lose: () => void;
} {
  const open = new Set<AbortController>();
  return {
    fetch: async (url, init) => {
      if (!new URL(url).pathname.startsWith("/api/live")) return inner(url, init);
      const abort = new AbortController();
      open.add(abort);
      init?.signal?.addEventListener("abort", () => abort.abort());
      const { signal } = abort;
      const response = await inner(url, { ...init, signal });
      const counted = response.body?.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform: (chunk, controller) => {
            onText(chunk.length);
            controller.enqueue(chunk);
          },
        }),
      );
      return new Response(counted ?? null, response);
    },
    lose: () => {
      for (const abort of open) abort.abort();
      open.clear();
    },
  };
}

/** The settings of a client. */
interface Visit {
  readonly user?: TestClient;
  readonly persist?: boolean;
  readonly transport?: TransportType;
}

async function connect(
  platform: Partial<Platform> = {},
  { user, persist = false, transport = "websocket" }: Visit = {},
): Promise<Client> {
  const guest = user ?? (await TestClient.guest(server.url));
  let received = 0;
  const sockets: Socket[] = [];
  const requests = breakable((length) => (received += length), platform.fetch);
  const engine = createSyncEngine(server.url, {
    sync: "queries",
    transport,
    token: guest.token ?? "",
    appName: `queries-${guest.userId}`,
    reconnectDelay: 30,
    persist,
    storage: createWriteThroughStorage({}, () => undefined),
    platform: {
      openSocket: (url, protocols) => {
        const socket = tappedSocket(url, protocols, {
          onMessage: (text, pass) => {
            received += text.length;
            pass();
          },
        });
        sockets.push(socket);
        return socket;
      },
      ...platform,
      fetch: requests.fetch,
    },
  });
  engine.start();
  cleanups.push(() => engine.stop());
  const lose = (): void => {
    sockets.at(-1)?.close();
    requests.lose();
  };
  return { engine, user: guest, sockets, received: () => received, lose };
}

async function join(user: TestClient, ...channels: string[]): Promise<string[]> {
  return Promise.all(
    channels.map((channel) => admin.insert("Member", { channel, userId: user.userId })),
  );
}

async function fill(channel: string, count: number, from = 0): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => ({
    id: `${channel}-${String(from + index).padStart(5, "0")}`,
    channel,
    n: from + index,
    text: `message ${from + index}`,
  }));
  const { body } = await admin.request("POST", "/api/import", { entities: { Message: rows } });
  expect(body["imported"]).toBe(count);
}

/** Subscribes to a query. */
function show(engine: SyncEngine, entityName: string, options: QueryOptions): LiveList {
  const list = engine.query(entityName, options);
  cleanups.push(list.subscribe(() => undefined));
  return list;
}

const newest = (channel: string, limit: number): QueryOptions => ({
  where: { channel },
  orderBy: { n: "desc" },
  limit,
});
const numbers = (list: LiveList): unknown[] => list.getSnapshot().map(({ n }) => n);

test("a client receives only what it shows, and scrolling requests only new rows", async () => {
  const client = await connect();
  const { engine } = client;
  await join(client.user, "a", "b");
  await fill("a", 2_000);
  await fill("b", 2_000);
  const list = show(engine, "Message", newest("a", 50));
  expect(list.isReady()).toBe(false);
  await until(() => list.isReady() === true);
  expect(numbers(list)).toEqual(Array.from({ length: 50 }, (_, index) => 1_999 - index));
  expect(engine.store.list("Message")).toHaveLength(50);
  const first = client.received();
  expect(first).toBeLessThan(15_000);

  const before = client.received();
  const longer = show(engine, "Message", newest("a", 100));
  await until(() => longer.isReady() === true);
  expect(longer.getSnapshot()).toHaveLength(100);
  expect(longer.getSnapshot()[49]).toBe(list.getSnapshot()[49]);
  // The first 50 are not sent again, only their ids: all 100 would be twice as much.
  expect(client.received() - before).toBeLessThan(1.3 * first);
  // A new row moves the windows; a row of another channel is not sent.
  await fill("b", 1, 5_000);
  await fill("a", 1, 5_000);
  await until(() => numbers(list)[0] === 5_000);
  expect(list.getSnapshot()).toHaveLength(50);
  expect(numbers(longer).at(-1)).toBe(1_901);
  expect(engine.store.list("Message")).toHaveLength(100);
});

test("a query that is no longer shown is dropped after a delay, with its own rows", async () => {
  const timers: { readonly ms: number; readonly work: () => void }[] = [];
  const client = await connect({
    after: (ms, work) => {
      if (ms !== 30_000) return systemPlatform.after(ms, work);
      const timer = { ms, work };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0);
    },
  });
  await join(client.user, "a");
  await fill("a", 10);
  const all = client.engine.query("Message", { where: { channel: "a" } });
  const stop = all.subscribe(() => undefined);
  const three = show(client.engine, "Message", newest("a", 3));
  await until(() => all.isReady() === true && three.isReady() === true);
  stop();
  expect(all.getSnapshot()).toHaveLength(10);
  for (const { work } of timers.splice(0)) work();
  await until(() => client.engine.store.list("Message").length === 3);
  expect(numbers(three)).toEqual([9, 8, 7]);
  const again = show(client.engine, "Message", { where: { channel: "a" } });
  await until(() => again.isReady() === true);
  expect(again.getSnapshot()).toHaveLength(10);
});

test("writes show immediately, rejected ones are rolled back, others' arrive live", async () => {
  const [ann, bob] = await Promise.all([connect(), connect()]);
  await join(ann.user, "a");
  await join(bob.user, "a");
  const [anns, bobs] = [ann, bob].map(({ engine }) => show(engine, "Message", newest("a", 10)));
  if (anns === undefined || bobs === undefined) throw new Error("There are two.");
  await until(() => anns.isReady() === true && bobs.isReady() === true);
  const insert = (text: string, n: number): Promise<string> =>
    ann.engine.insert("Message", { channel: "a", text, n });
  await Promise.all([insert("first", 1), insert("bad", 2)]);
  expect(numbers(anns)).toEqual([2, 1]);
  await until(() => numbers(anns).length === 1);
  await until(() => numbers(bobs).length === 1);
  const [row] = bobs.getSnapshot();
  await bob.engine.update("Message", row?.id ?? "", { text: "second" });
  await until(() => anns.getSnapshot()[0]?.["text"] === "second");
  await ann.engine.delete("Message", row?.id ?? "");
  await until(() => numbers(bobs).length === 0);
  await until(() => ann.engine.mutations.all().length === 0);
});

test("a written row that matches no shown query is dropped once the server has it", async () => {
  const { engine, user } = await connect();
  await join(user, "a", "b");
  const list = show(engine, "Message", newest("a", 10));
  await until(() => list.isReady() === true);
  await engine.insert("Message", { channel: "b", text: "elsewhere", n: 1 });
  expect(engine.store.list("Message")).toHaveLength(1);
  await until(() => engine.mutations.all().length === 0);
  expect(engine.store.list("Message")).toHaveLength(0);
});

test("offline writes are shown, stored and sent", async () => {
  let isAway = false;
  const { engine, user, sockets } = await connect({
    fetch: (url, init) => (isAway ? Promise.reject(new TypeError("no network")) : fetch(url, init)),
  });
  await join(user, "a");
  await fill("a", 3);
  const list = show(engine, "Message", newest("a", 10));
  await until(() => list.isReady() === true);
  isAway = true;
  sockets.at(-1)?.close();
  await until(() => engine.status.connection === "offline");
  await engine.insert("Message", { channel: "a", text: "offline", n: 10 });
  expect(numbers(list)).toEqual([10, 2, 1, 0]);
  expect(engine.status.pending).toBe(1);
  await fill("a", 1, 5);
  isAway = false;
  await until(() => numbers(list).length === 5 && engine.mutations.all().length === 0);
  expect(numbers(list)).toEqual([10, 5, 2, 1, 0]);
});

test("after a loss of the connection a query resumes where it was", async () => {
  const client = await connect();
  await join(client.user, "a");
  await fill("a", 500);
  const list = show(client.engine, "Message", { where: { channel: "a" } });
  const window = show(client.engine, "Message", newest("a", 100));
  await until(() => list.isReady() === true && window.isReady() === true);
  await until(() => client.engine.store.cursor.last_seq > 500);
  const first = client.received();
  const rows = list.getSnapshot();
  client.sockets.at(-1)?.close();
  await fill("a", 1, 700);
  await admin.request("DELETE", "/api/entities/Message/a-00000");
  await until(() => numbers(window)[0] === 700 && list.getSnapshot().length === 500);
  expect(client.received() - first).toBeLessThan(first / 4);
  expect(list.getSnapshot()[0]).toBe(rows[1]);
});

test("a user who loses access to a channel loses its rows", async () => {
  const { engine, user } = await connect();
  const [membership] = await join(user, "a", "b");
  await fill("a", 5);
  await fill("b", 5);
  const both = show(engine, "Message", { where: { channel: { $in: ["a", "b"] } } });
  await until(() => both.isReady() === true);
  expect(both.getSnapshot()).toHaveLength(10);
  await admin.request("DELETE", `/api/entities/Member/${membership}`);
  await until(() => both.getSnapshot().length === 5);
  expect(engine.store.list("Message")).toHaveLength(5);
});

test("another user sees no rows of the previous one", async () => {
  const { engine, user } = await connect();
  await engine.insert("Note", { text: "mine" });
  const notes = show(engine, "Note", {});
  await until(() => notes.isReady() === true && engine.mutations.all().length === 0);
  expect(notes.getSnapshot()).toHaveLength(1);
  const other = await TestClient.guest(server.url);
  await other.insert("Note", { text: "theirs" });
  engine.session.setToken(other.token);
  expect(notes.getSnapshot()).toEqual([]);
  await until(() => notes.getSnapshot().length === 1 && notes.isReady() === true);
  expect(notes.getSnapshot()[0]).toMatchObject({ text: "theirs", ownerId: other.userId });
  expect(user.userId).not.toBe(other.userId);
});

test("a query that the server rejects reports why, and the others continue", async () => {
  const { engine } = await connect();
  const wrong = show(engine, "Nothing", {});
  const notes = show(engine, "Note", {});
  await until(() => notes.isReady() === true && wrong.isReady() === true);
  expect(() => wrong.getSnapshot()).toThrow("Nothing");
  expect(notes.getSnapshot()).toEqual([]);
});

test("without sockets, queries use an event stream", async () => {
  const client = await connect({
    openSocket: () => {
      throw new Error("no sockets here");
    },
  });
  await join(client.user, "a");
  await fill("a", 20);
  const list = show(client.engine, "Message", newest("a", 5));
  await until(() => list.isReady() === true && numbers(list).length === 5);
  expect(client.engine.status.transport).toBe("sse");
  expect(client.engine.store.list("Message")).toHaveLength(5);
  await fill("a", 1, 30);
  await until(() => numbers(list)[0] === 30);
});

test("without streams too, queries use long polls", async () => {
  const client = await connect({
    openSocket: () => {
      throw new Error("no sockets here");
    },
    fetch: (url, init) =>
      String(init?.body).includes('"sse"')
        ? Promise.reject(new TypeError("no streams here"))
        : fetch(url, init),
  });
  await join(client.user, "a");
  await fill("a", 20);
  const list = show(client.engine, "Message", newest("a", 5));
  await until(() => list.isReady() === true && numbers(list).length === 5);
  expect(client.engine.status.transport).toBe("poll");
  const before = client.received();
  await fill("a", 1, 30);
  await until(() => numbers(list)[0] === 30);
  expect(client.received() - before).toBeLessThan(400);
});

test.each(["sse", "poll"] as const)("over %s it resumes after a loss", async (transport) => {
  const client = await connect({}, { transport });
  await join(client.user, "a");
  await fill("a", 500);
  const list = show(client.engine, "Message", { where: { channel: "a" } });
  await until(() => list.isReady() === true);
  expect(list.getSnapshot()).toHaveLength(500);
  const first = client.received();
  client.lose();
  await fill("a", 1, 700);
  await until(() => list.getSnapshot().length === 501);
  expect(client.received() - first).toBeLessThan(first / 10);
  expect(client.engine.status.transport).toBe(transport);
});

/** Inserts two replies to each message of a channel. */
async function reply(channel: string, count: number): Promise<void> {
  const rows = Array.from({ length: 2 * count }, (_, index) => ({
    id: `reply-${index}`,
    messageId: `${channel}-${String(index % count).padStart(5, "0")}`,
    text: `reply ${index}`,
  }));
  const { body } = await admin.request("POST", "/api/import", { entities: { Reply: rows } });
  expect(body["imported"]).toBe(2 * count);
}
const replies = (list: LiveList): string[] =>
  list
    .getSnapshot()
    .flatMap(({ replies: own }) => own as { readonly text: string }[])
    .map(({ text }) => text);

test("included rows resume after a loss and in a later visit", async () => {
  const asked = { ...newest("a", 50), include: { replies: true } } satisfies QueryOptions;
  const client = await connect({}, { persist: true });
  const { engine, user } = client;
  await join(user, "a");
  await fill("a", 50);
  await reply("a", 50);
  const list = show(engine, "Message", asked);
  await until(() => list.isReady() === true && replies(list).length === 100);
  const first = client.received();
  client.lose();
  await admin.request("PATCH", "/api/entities/Reply/reply-3", { text: "other" });
  await admin.request("DELETE", "/api/entities/Reply/reply-4");
  await until(() => replies(list).includes("other") && replies(list).length === 99);
  expect(client.received() - first).toBeLessThan(first / 4);

  const disk = await systemPlatform.openDisk?.(`queries-${user.userId}`, server.url);
  await until(async () => {
    const kept = await disk?.readReplica();
    const one = kept?.head.queries?.find(({ include }) => include !== undefined);
    return one?.related?.[0]?.ids.length === 99 && kept?.rows.length === 149;
  });
  engine.stop();
  disk?.close();
  await admin.request("PATCH", "/api/entities/Reply/reply-5", { text: "newer" });
  let letGo: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  const second = await connect(
    { fetch: (url, init) => gate.then(() => fetch(url, init)) },
    { user, persist: true },
  );
  const shown = show(second.engine, "Message", asked);
  await until(() => replies(shown).length === 99);
  expect(shown.isReady()).toBe(false);
  letGo();
  await until(() => shown.isReady() === true && replies(shown).includes("newer"));
  expect(replies(shown).toSorted()).toHaveLength(99);
  expect(second.received()).toBeLessThan(first / 4);
});

test("if a visit ends while one query waits, the others are not sent again", async () => {
  const guest = await TestClient.guest(server.url);
  await join(guest, "a");
  await fill("a", 500);
  const show500 = (engine: SyncEngine): LiveList[] => [
    show(engine, "Message", { where: { channel: "a" } }),
    show(engine, "Note", {}),
  ];
  // The server's messages about notes are lost in this visit.
  const openSocket: Platform["openSocket"] = (url, protocols) => {
    let lost = "";
    return tappedSocket(url, protocols, {
      onSend: (text, pass) => {
        if (text.includes('"Note"')) lost = /"id":(\d+)/.exec(text)?.[1] ?? "";
        else pass();
      },
      onMessage: (text, pass) => {
        if (lost === "" || !text.includes(`"id":${lost},`)) pass();
      },
    });
  };
  const first = await connect({ openSocket }, { user: guest, persist: true });
  const [messages] = show500(first.engine);
  await until(() => messages?.isReady() === true);
  const disk = await systemPlatform.openDisk?.(`queries-${guest.userId}`, server.url);
  await until(async () => {
    const kept = await disk?.readReplica();
    return kept?.rows.length === 500 && (kept.head.queries?.[0]?.seq ?? 0) > 500;
  });
  first.engine.stop();
  disk?.close();
  const second = await connect({}, { user: guest, persist: true });
  const lists = show500(second.engine);
  await until(() => lists.every((list) => list.isReady() === true));
  expect(lists.map((list) => list.getSnapshot().length)).toEqual([500, 0]);
  expect(second.received()).toBeLessThan(5_000);
});

test("a later visit immediately shows the stored rows, and then the current ones", async () => {
  const first = await connect({}, { persist: true });
  await join(first.user, "a");
  await fill("a", 5);
  const list = show(first.engine, "Message", newest("a", 3));
  await until(() => list.isReady() === true);
  await aMoment();
  first.engine.stop();
  await admin.request("DELETE", "/api/entities/Message/a-00004");

  let letGo: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  const second = await connect(
    { fetch: (url, init) => gate.then(() => fetch(url, init)) },
    { user: first.user, persist: true },
  );
  const shown = show(second.engine, "Message", newest("a", 3));
  await until(() => shown.getSnapshot().length === 3);
  expect(numbers(shown)).toEqual([4, 3, 2]);
  expect(shown.isReady()).toBe(false);
  letGo();
  await until(() => shown.isReady() === true);
  expect(numbers(shown)).toEqual([3, 2, 1]);
  expect(second.engine.store.list("Message")).toHaveLength(3);
});

/** A visit that has shown 500 rows and a window of 50, and ends once all is on disk. */
async function visited(): Promise<TestClient> {
  const { engine, user } = await connect({}, { persist: true });
  await join(user, "a");
  await fill("a", 500);
  const lists = [
    show(engine, "Message", { where: { channel: "a" } }),
    show(engine, "Message", newest("a", 50)),
  ];
  await until(() => lists.every((list) => list.isReady() === true));
  await until(() => engine.mutations.all().length === 0);
  const disk = await systemPlatform.openDisk?.(`queries-${user.userId}`, server.url);
  // The visit resumes all of its queries.
  await until(async () => {
    const kept = await disk?.readReplica();
    const shown = kept?.head.queries?.filter((one) => one.entity === "Message");
    return kept?.rows.length === 500 && shown?.length === 2 && kept.head.seq > 500;
  });
  engine.stop();
  disk?.close();
  return user;
}

/** Shows the same queries again in a later visit. */
async function revisit(user: TestClient, transport: TransportType): Promise<[Client, LiveList[]]> {
  const client = await connect({}, { user, persist: true, transport });
  const lists = [
    show(client.engine, "Message", { where: { channel: "a" } }),
    show(client.engine, "Message", newest("a", 50)),
  ];
  await until(() => lists.every((list) => list.isReady() === true));
  return [client, lists];
}

test.each(["websocket", "sse", "poll"] as const)(
  "over %s a later visit receives only what has changed",
  async (transport) => {
    const user = await visited();
    const [same, lists] = await revisit(user, transport);
    expect(lists.map((list) => list.getSnapshot().length)).toEqual([500, 50]);
    expect(same.received()).toBeLessThan(2_000);
    same.engine.stop();
    await aMoment();
    await fill("a", 1, 900);
    await admin.request("DELETE", "/api/entities/Message/a-00499");
    const [changed, [all, window]] = await revisit(user, transport);
    expect(all?.getSnapshot()).toHaveLength(500);
    expect(window?.getSnapshot().map(({ n }) => n)).toEqual([
      900,
      ...Array.from({ length: 49 }, (_, index) => 498 - index),
    ]);
    expect(changed.received()).toBeLessThan(3_000);
  },
);

test("a visit with other rights receives only what it may read, and drops the rest", async () => {
  const first = await connect({}, { persist: true });
  const [membership] = await join(first.user, "a", "b");
  await fill("a", 5);
  await fill("b", 5);
  const both = { where: { channel: { $in: ["a", "b"] } } };
  const list = show(first.engine, "Message", both);
  await until(() => list.isReady() === true);
  first.engine.stop();
  await aMoment();
  await admin.request("DELETE", `/api/entities/Member/${membership}`);
  const second = await connect({}, { user: first.user, persist: true });
  const again = show(second.engine, "Message", both);
  await until(() => again.isReady() === true);
  expect(again.getSnapshot()).toHaveLength(5);
  expect(second.engine.store.list("Message")).toHaveLength(5);
});

test("rows that only an earlier visit showed are dropped after a delay", async () => {
  const user = await visited();
  const timers = new Set<() => void>();
  const { engine } = await connect(
    {
      after: (ms, work) => {
        if (ms !== 30_000) return systemPlatform.after(ms, work);
        timers.add(work);
        return () => void timers.delete(work);
      },
    },
    { user, persist: true },
  );
  await until(() => engine.store.list("Message").length === 500);
  await until(() => timers.size === 3);
  const window = show(engine, "Message", newest("a", 50));
  await until(() => window.isReady() === true);
  // A change of a row that is not shown is sent as long as the client holds the row.
  await admin.request("PATCH", "/api/entities/Message/a-00000", { n: -1 });
  await until(() => engine.store.get("Message", "a-00000")?.["n"] === -1);
  for (const work of [...timers]) work();
  expect(engine.store.list("Message")).toHaveLength(50);
});

test("an entity with offline: all is loaded and on disk, even if it is not shown", async () => {
  const { engine, user } = await connect({}, { persist: true });
  await user.insert("Setting", { name: "one" });
  await until(() => engine.store.list("Setting").length === 1);
  await user.insert("Setting", { name: "two" });
  await until(() => engine.store.list("Setting").length === 2);
  expect(engine.store.list("Note")).toEqual([]);
  await aMoment();
  engine.stop();
  await aMoment();
  const noNetwork = (): Promise<never> => Promise.reject(new TypeError("no network"));
  const later = await connect({ fetch: noNetwork }, { user, persist: true });
  const settings = show(later.engine, "Setting", { orderBy: { name: "asc" } });
  await until(() => settings.getSnapshot().length === 2);
  const other = await TestClient.guest(server.url);
  later.engine.session.setToken(other.token);
  expect(later.engine.store.list("Setting")).toEqual([]);
});

test("a single row is requested by its id", async () => {
  const { engine, user } = await connect();
  await join(user, "a");
  await fill("a", 3);
  const { liveRow } = await import("@pylonsync/sync");
  const row = liveRow(engine.store, "Message", "a-00001");
  cleanups.push(row.subscribe(() => undefined));
  await until(() => row.isReady() === true);
  expect(row.getSnapshot()).toMatchObject({ n: 1 });
  await admin.request("PATCH", "/api/entities/Message/a-00001", { n: 7 });
  await until(() => row.getSnapshot()?.["n"] === 7);
});

const CHANNELS = ["a", "b", "c"];
const channel = fc.constantFrom(...CHANNELS);
const STEP = fc.oneof(
  fc.record({
    kind: fc.constant("write" as const),
    id: fc.integer({ min: 0, max: 11 }),
    channel,
    n: fc.integer({ min: 0, max: 9 }),
  }),
  fc.record({ kind: fc.constant("delete" as const), id: fc.integer({ min: 0, max: 11 }) }),
  fc.record({ kind: fc.constant("member" as const), channel }),
  fc.record({
    kind: fc.constant("show" as const),
    channel,
    limit: fc.constantFrom(undefined, 1, 3, 5),
    order: fc.constantFrom("asc" as const, "desc" as const),
  }),
  fc.record({ kind: fc.constant("hide" as const), index: fc.nat(3) }),
  fc.record({ kind: fc.constant("lose" as const) }),
  fc.record({ kind: fc.constant("revisit" as const) }),
);
type Step = typeof STEP extends fc.Arbitrary<infer S> ? S : never;

/** A client whose user's messages and rights are added and removed, and what it shows. */
class Scene {
  readonly #visit: Visit;
  #client: Client;
  readonly #written = new Set<number>();
  readonly #memberships = new Map<string, string>();
  readonly #shown: { options: QueryOptions; list: LiveList; stop: () => void }[] = [];

  private constructor(client: Client, visit: Visit) {
    this.#client = client;
    this.#visit = visit;
  }

  static async begin(visit: Visit): Promise<Scene> {
    return new Scene(await connect({}, visit), visit);
  }

  async do(step: Step): Promise<void> {
    const { engine, lose } = this.#client;
    if (step.kind === "write") await this.#write(step.id, step.channel, step.n);
    else if (step.kind === "delete") await this.#delete(step.id);
    else if (step.kind === "member") await this.#turnMembership(step.channel);
    else if (step.kind === "lose") lose();
    else if (step.kind === "revisit") await this.#revisit();
    else if (step.kind === "hide") this.#shown.splice(step.index, 1)[0]?.stop();
    else {
      const { limit } = step;
      this.#show(engine, { where: { channel: step.channel }, orderBy: { n: step.order }, limit });
    }
  }

  #show(engine: SyncEngine, options: QueryOptions): void {
    const list = engine.query("Message", options);
    this.#shown.push({ options, list, stop: list.subscribe(() => undefined) });
  }

  /** The page is closed and opened again, whatever is on disk at that point. */
  async #revisit(): Promise<void> {
    const { engine, user } = this.#client;
    engine.stop();
    this.#client = await connect({}, { ...this.#visit, user });
    for (const { options, stop } of this.#shown.splice(0)) {
      stop();
      this.#show(this.#client.engine, options);
    }
  }

  /** Waits until each query shows the server's result of it. */
  async agrees(): Promise<void> {
    for (const { options, list } of this.#shown) {
      const { where, orderBy: $order, limit: $limit } = options;
      const filter = { ...where, $order, ...($limit === undefined ? {} : { $limit }) };
      const { text } = await this.#client.user.request("POST", "/api/query/Message", filter);
      const rows: unknown = JSON.parse(text);
      await until(() => list.isReady() === true && Bun.deepEquals(list.getSnapshot(), rows)).catch(
        () => expect<unknown>(list.getSnapshot()).toEqual(rows),
      );
    }
  }

  end(): void {
    for (const { stop } of this.#shown) stop();
    this.#client.engine.stop();
  }

  async #write(id: number, to: string, n: number): Promise<void> {
    const row = { channel: to, n, text: "x" };
    if (this.#written.has(id)) await admin.request("PATCH", this.#pathOf(id), row);
    else await admin.insert("Message", { id: `${this.#client.user.userId}-${id}`, ...row });
    this.#written.add(id);
  }

  async #delete(id: number): Promise<void> {
    await admin.request("DELETE", this.#pathOf(id));
    this.#written.delete(id);
  }

  #pathOf(id: number): string {
    return `/api/entities/Message/${this.#client.user.userId}-${id}`;
  }

  async #turnMembership(of: string): Promise<void> {
    const known = this.#memberships.get(of);
    if (known === undefined) {
      const [id = ""] = await join(this.#client.user, of);
      this.#memberships.set(of, id);
    } else {
      await admin.request("DELETE", `/api/entities/Member/${known}`);
      this.#memberships.delete(of);
    }
  }
}

test.each([
  ["websocket", 25],
  ["sse", 15],
  ["poll", 15],
] as const)(
  "after any writes over %s, each shown query equals the server's result",
  async (transport, numRuns) => {
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { minLength: 5, maxLength: 25 }), async (steps) => {
        const scene = await Scene.begin({ transport, persist: true });
        for (const step of steps) await scene.do(step);
        await scene.agrees();
        scene.end();
      }),
      { numRuns },
    );
  },
  120_000,
);
