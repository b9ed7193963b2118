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
} from "@pylonsync/sync";
import fc from "fast-check";
import { aMoment, TestClient, until } from "../support/client.ts";
import { useFakeIndexedDb } from "../support/fake-indexed-db.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// An engine whose replica holds what queries ask for: `sync: "queries"`.

const MEMBER = "exists(Member, channel == data.channel && userId == auth.userId)";
const app = appOf(
  buildManifest({
    name: "queries",
    version: "1.0.0",
    entities: [
      entity("Message", {
        channel: field.string(),
        text: field.string(),
        n: field.int(),
        sentAt: field.datetime().optional(),
      }),
      entity("Member", { channel: field.string(), userId: field.string() }),
      entity("Note", { text: field.string(), ownerId: field.string().owner() }),
    ],
    policies: [
      policy({ name: "members", entity: "Message", allow: `${MEMBER} && data.text != 'bad'` }),
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
  /** Characters that it has received over sockets. */
  readonly received: () => number;
}

async function connect(
  platform: Partial<Platform> = {},
  { user, persist = false }: { user?: TestClient; persist?: boolean } = {},
): Promise<Client> {
  const guest = user ?? (await TestClient.guest(server.url));
  let received = 0;
  const sockets: Socket[] = [];
  const engine = createSyncEngine(server.url, {
    sync: "queries",
    token: guest.token ?? "",
    appName: `queries-${guest.userId}`,
    reconnectDelay: 30,
    persist,
    storage: createWriteThroughStorage({}, () => undefined),
    platform: {
      openSocket: (url, protocols) => {
        const inner = systemPlatform.openSocket(url, protocols);
        const socket: Socket = {
          onopen: null,
          onmessage: null,
          onclose: null,
          onerror: null,
          send: (text) => inner.send(text),
          close: () => inner.close(),
        };
        inner.onopen = () => socket.onopen?.();
        inner.onmessage = (event) => {
          received += String(event.data).length;
          socket.onmessage?.(event);
        };
        inner.onclose = (event) => socket.onclose?.(event);
        sockets.push(socket);
        return socket;
      },
      ...platform,
    },
  });
  engine.start();
  cleanups.push(() => engine.stop());
  return { engine, user: guest, sockets, received: () => received };
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

/** A query that is shown. */
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

test("a client receives what it shows, and scrolling asks for what is missing", async () => {
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
  // A new row moves the windows; a row of another channel is not heard of.
  await fill("b", 1, 5_000);
  await fill("a", 1, 5_000);
  await until(() => numbers(list)[0] === 5_000);
  expect(list.getSnapshot()).toHaveLength(50);
  expect(numbers(longer).at(-1)).toBe(1_901);
  expect(engine.store.list("Message")).toHaveLength(100);
});

test("a query that is shown no more is let go of after a while, with its own rows", async () => {
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

test("writes show at once, refused ones are taken back, and others' come live", async () => {
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

test("a write that none of the shown queries has is let go of when the server has it", async () => {
  const { engine, user } = await connect();
  await join(user, "a", "b");
  const list = show(engine, "Message", newest("a", 10));
  await until(() => list.isReady() === true);
  await engine.insert("Message", { channel: "b", text: "elsewhere", n: 1 });
  expect(engine.store.list("Message")).toHaveLength(1);
  await until(() => engine.mutations.all().length === 0);
  expect(engine.store.list("Message")).toHaveLength(0);
});

test("what is written without a network is shown, kept and sent", async () => {
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

test("after a loss of the connection a query goes on from where it was", async () => {
  const client = await connect();
  await join(client.user, "a");
  await fill("a", 500);
  const list = show(client.engine, "Message", { where: { channel: "a" } });
  const window = show(client.engine, "Message", newest("a", 100));
  await until(() => list.isReady() === true && window.isReady() === true);
  const first = client.received();
  const rows = list.getSnapshot();
  client.sockets.at(-1)?.close();
  await fill("a", 1, 700);
  await admin.request("DELETE", "/api/entities/Message/a-00000");
  await until(() => numbers(window)[0] === 700 && list.getSnapshot().length === 500);
  expect(client.received() - first).toBeLessThan(first / 4);
  expect(list.getSnapshot()[0]).toBe(rows[1]);
});

test("who loses the right to a channel is left without its rows", async () => {
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

test("another user sees nothing of the one before", async () => {
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

test("a query that the server refuses says why, and the others go on", async () => {
  const { engine } = await connect();
  const wrong = show(engine, "Nothing", {});
  const notes = show(engine, "Note", {});
  await until(() => notes.isReady() === true && wrong.isReady() === true);
  expect(() => wrong.getSnapshot()).toThrow("Nothing");
  expect(notes.getSnapshot()).toEqual([]);
});

test("where no socket gets through, the replica is whole", async () => {
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
  await fill("a", 1, 30);
  await until(() => numbers(list)[0] === 30);
});

test("a later visit shows at once what was shown, and then what there is", async () => {
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

test("one row is asked for by its id", async () => {
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
);
type Step = typeof STEP extends fc.Arbitrary<infer S> ? S : never;

/** A client whose user's messages and rights come and go, and what it shows. */
class Scene {
  readonly #client: Client;
  readonly #written = new Set<number>();
  readonly #memberships = new Map<string, string>();
  readonly #shown: { options: QueryOptions; list: LiveList; stop: () => void }[] = [];

  constructor(client: Client) {
    this.#client = client;
  }

  async do(step: Step): Promise<void> {
    const { engine, sockets } = this.#client;
    if (step.kind === "write") await this.#write(step.id, step.channel, step.n);
    else if (step.kind === "delete") await this.#delete(step.id);
    else if (step.kind === "member") await this.#turnMembership(step.channel);
    else if (step.kind === "lose") sockets.at(-1)?.close();
    else if (step.kind === "hide") this.#shown.splice(step.index, 1)[0]?.stop();
    else {
      const options: QueryOptions = {
        where: { channel: step.channel },
        orderBy: { n: step.order },
        limit: step.limit,
      };
      const list = engine.query("Message", options);
      this.#shown.push({ options, list, stop: list.subscribe(() => undefined) });
    }
  }

  /** Waits until each query shows what the server answers to it. */
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

test("whatever is written and shown, each query is what the server answers", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 5, maxLength: 25 }), async (steps) => {
      const scene = new Scene(await connect());
      for (const step of steps) await scene.do(step);
      await scene.agrees();
      scene.end();
    }),
    { numRuns: 25 },
  );
}, 120_000);
