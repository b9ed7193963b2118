import type { Manifest } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  toFilter,
  type LiveList,
  type QueryOptions,
  type SyncEngine,
} from "@pylonsync/sync";
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { team } from "../../packages/server/src/data/testing/team-world.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Related rows as the client resolves them, compared with the server's response to the same query.

const manifest: Manifest = {
  ...team,
  policies: (team.policies ?? []).map(({ allow, ...rest }) => ({
    ...rest,
    ...(allow === undefined ? {} : { allowRead: allow, allowWrite: "auth.isAdmin" }),
  })),
};

let server: TestServer;
let admin: TestClient;
let ann: TestClient;
const cleanups: (() => unknown)[] = [];
beforeAll(async () => {
  server = await startServer(appOf(manifest));
  admin = new TestClient(server.url, ADMIN_TOKEN);
  ann = await TestClient.guest(server.url);
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});
afterAll(() => server.stop());

function connect(sync: "queries" | "all"): SyncEngine {
  const engine = createSyncEngine(server.url, {
    ...(sync === "queries" ? { sync } : {}),
    token: ann.token ?? "",
    appName: `includes-${sync}-${Math.random()}`,
    reconnectDelay: 30,
    persist: false,
    storage: createWriteThroughStorage({}, () => undefined),
  });
  engine.start();
  cleanups.push(() => engine.stop());
  return engine;
}

const QUERIES: readonly (readonly [string, QueryOptions])[] = [
  ["Message", { include: { author: true, channel: true } }],
  [
    "Channel",
    {
      orderBy: { rank: "desc" },
      limit: 2,
      include: {
        messages: { order: { n: "desc" }, limit: 2, include: { author: true } },
        members: { where: { isSecret: false }, include: { user: true } },
      },
    },
  ],
  ["Channel", { include: { people: { order: { name: "desc" }, limit: 2 } } }],
  [
    "User",
    {
      include: {
        channels: { where: { open: true }, include: { messages: { limit: 1 } } },
        messages: { where: { n: { $gte: 0 } }, order: { text: "asc" } },
      },
    },
  ],
];

/** Filters over related rows, including related rows that no query subscribes to. */
const FILTERED: readonly (readonly [string, QueryOptions])[] = [
  ["Message", { where: { author: { name: "a" } } }],
  ["Message", { where: { channel: null } }],
  ["Message", { where: { $not: { channel: { open: true } } }, orderBy: { n: "desc" }, limit: 2 }],
  ["Channel", { where: { messages: { author: { name: { $ne: "b" } } } } }],
  ["Channel", { where: { $or: [{ people: { name: "b" } }, { rank: 1 }] }, limit: 2 }],
  ["Member", { where: { channel: { $not: { messages: {} } } } }],
  ["User", { where: { channels: { rank: { $gte: 1 } } } }],
  [
    "User",
    {
      where: { $not: { messages: { n: 2 } } },
      include: { messages: { where: { channel: { open: true } }, limit: 2, order: { n: "asc" } } },
    },
  ],
  ["Channel", { include: { people: { where: { messages: { n: 0 } } } } }],
];

type Row = Readonly<Record<string, string | number | boolean | null>>;
interface Write {
  readonly entity: string;
  readonly id: string;
  /** Null: the row is deleted. */
  readonly data: Row | null;
}

const users = (): fc.Arbitrary<string | null> =>
  fc.constantFrom(ann.userId ?? "", "bob", "cleo", null);
const channels = fc.constantFrom("c1", "c2", "c3", null);
const writeTo = (
  entity: string,
  ids: fc.Arbitrary<string>,
  data: fc.Arbitrary<Row>,
): fc.Arbitrary<Write> =>
  fc.record({ entity: fc.constant(entity), id: ids, data: fc.option(data, { freq: 4 }) });
const writes = (): fc.Arbitrary<Write> =>
  fc.oneof(
    writeTo(
      "Channel",
      fc.constantFrom("c1", "c2", "c3"),
      fc.record({ open: fc.boolean(), rank: fc.option(fc.nat(2)) }),
    ),
    writeTo(
      "User",
      fc.constantFrom("bob", "cleo"),
      fc.record({ name: fc.constantFrom("a", "b", "closed"), pin: fc.constant("p") }),
    ),
    writeTo(
      "Member",
      fc.stringMatching(/^m[0-4]$/),
      fc.record({ channelId: channels, userId: users(), isSecret: fc.boolean() }),
    ),
    {
      weight: 3,
      arbitrary: writeTo(
        "Message",
        fc.stringMatching(/^x[0-7]$/),
        fc.record({
          text: fc.constantFrom("a", "B"),
          n: fc.option(fc.nat(2)),
          channelId: channels,
          authorId: users(),
        }),
      ),
    },
  );

async function write(all: readonly Write[], known: Set<string>): Promise<void> {
  const operations = all.flatMap(({ entity, id, data }): object[] => {
    const isThere = known.has(id);
    if (data === null) {
      if (!known.delete(id)) return [];
      return [{ op: "delete", entity, id }];
    }
    known.add(id);
    return isThere
      ? [{ op: "update", entity, id, data }]
      : [{ op: "insert", entity, data: { id, ...data } }];
  });
  if (operations.length === 0) return;
  const { body, text } = await admin.request("POST", "/api/transact", operations);
  if (body["committed"] !== true) throw new Error(text);
}

async function wipe(known: Set<string>): Promise<void> {
  const entityOf = (id: string): string =>
    ({ c: "Channel", m: "Member", x: "Message" })[id[0] ?? ""] ?? "User";
  const all = [...known].map((id) => ({ entity: id === "cleo" ? "User" : entityOf(id), id }));
  await write(
    ["Message", "Member", "Channel", "User"].flatMap((name) =>
      all.filter(({ entity }) => entity === name).map((one) => ({ ...one, data: null })),
    ),
    known,
  );
}

for (const [what, queries] of [
  ["related rows", QUERIES],
  ["what is asked of related rows", FILTERED],
] as const)
  test.each(["queries", "all"] as const)(
    `${what}: %s equal the server's results after any writes`,
    async (mode) => {
      const engine = connect(mode);
      const known = new Set<string>();
      const watched = queries.map(
        ([entity, options]): readonly [LiveList, string, QueryOptions] => {
          const list = engine.query(entity, options);
          cleanups.push(list.subscribe(() => undefined));
          return [list, entity, options];
        },
      );
      const agree = async (): Promise<void> => {
        for (const [list, entity, options] of watched) {
          const path = `/api/query/${entity}`;
          const { body } = await ann.request("POST", path, toFilter(options));
          const isSame = (): boolean =>
            list.isReady() !== false && Bun.deepEquals([...list.getSnapshot()], body);
          await until(isSame).catch(() => expect(list.getSnapshot()).toEqual(body as never));
          expect(list.getSnapshot()).toBe(list.getSnapshot());
        }
      };
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(writes(), { minLength: 1, maxLength: 4 }), { maxLength: 6 }),
          async (transactions) => {
            for (const transaction of transactions) {
              const unique = new Map(transaction.map((one) => [one.id, one]));
              await write([...unique.values()], known);
              await agree();
            }
            await wipe(known);
            await agree();
          },
        ),
        { numRuns: 12 },
      );
    },
    60_000,
  );
