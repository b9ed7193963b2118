import {
  createSyncEngine,
  createWriteThroughStorage,
  LIVE_AGGREGATE,
  LIVE_SEARCH,
  type SyncEngine,
} from "@pylonsync/sync";
import { observeAggregate, observeSearch } from "@pylonsync/sync/bindings";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Aggregates and searches that a page follows, over each transport and in both modes of sync.

const note = { text: field.string(), ownerId: field.string().optional() };
const app = appOf(
  buildManifest({
    name: "live-reads",
    version: "1.0.0",
    entities: [entity("Note", note, { search: { fields: ["text"] } }), entity("Own", note)],
    policies: [
      policy({ name: "all", entity: "Note", allow: "true" }),
      policy({ name: "own", entity: "Own", allow: "auth.userId == data.ownerId" }),
    ],
  }),
);

let server: TestServer;
let client: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

function engineOf(
  { token }: TestClient,
  options: Pick<Parameters<typeof createSyncEngine>[1] & object, "sync" | "transport">,
): SyncEngine {
  const engine = createSyncEngine(server.url, {
    ...options,
    token: token ?? "",
    persist: false,
    pollInterval: 50,
    reconnectDelay: 20,
    storage: createWriteThroughStorage({}, () => undefined),
  });
  engine.start();
  return engine;
}

const TRANSPORTS = ["websocket", "sse", "poll"] as const;
const MODES = ["all", "queries"] as const;

test.each(TRANSPORTS.flatMap((transport) => MODES.map((sync) => ({ transport, sync }))))(
  "counts and hits are live over $transport with a replica of $sync",
  async (options) => {
    const engine = engineOf(client, options);
    const word = `${options.transport}${options.sync}`;
    const where = { text: word };
    const counts = observeAggregate(engine, "Note", { count: true, where });
    const found = observeSearch(engine, "Note", { query: word });
    const stops = [counts.subscribe(() => undefined), found.subscribe(() => undefined)];
    const shows = (count: number): Promise<void> =>
      until(() => {
        const { data } = counts.getSnapshot();
        const { loading, total, hits } = found.getSnapshot();
        return Bun.deepEquals(
          [data, loading, total, hits.length],
          [[{ count }], false, count, count],
        );
      });
    await shows(0);
    const id = await client.insert("Note", { text: word });
    await shows(1);
    await client.request("DELETE", `/api/entities/Note/${id}`);
    await shows(0);
    for (const stop of stops) stop();
    engine.stop();
  },
);

test("callers count only what they may read, and the admin counts everything", async () => {
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const other = await TestClient.guest(server.url);
  const engines = [client, other, admin].map((one) => engineOf(one, { sync: "queries" }));
  const reads = engines.map((engine) => observeAggregate(engine, "Own", { count: true }));
  const stops = reads.map((read) => read.subscribe(() => undefined));
  const show = (...counts: number[]): Promise<void> =>
    until(() =>
      Bun.deepEquals(
        reads.map((read) => read.getSnapshot().data),
        counts.map((count) => [{ count }]),
      ),
    );
  await show(0, 0, 0);
  await admin.insert("Own", { text: "a", ownerId: client.userId });
  await show(1, 0, 1);
  const id = await admin.insert("Own", { text: "b", ownerId: other.userId });
  await show(1, 1, 2);
  await admin.request("PATCH", `/api/entities/Own/${id}`, { ownerId: client.userId });
  await show(2, 0, 2);
  for (const stop of stops) stop();
  for (const engine of engines) engine.stop();
});

test("an invalid spec is an error, and so is undefined in a filter", async () => {
  const engine = engineOf(client, { sync: "queries" });
  const codeOf = async (name: string, spec: object): Promise<string | undefined> => {
    const live = engine.live(name, { entity: "Note", spec });
    const stop = live.subscribe(() => undefined);
    await until(() => live.getSnapshot().error !== null);
    const { error } = live.getSnapshot();
    stop();
    return error?.code;
  };
  expect(await codeOf(LIVE_AGGREGATE, { sum: ["nope"] })).toBe("INVALID_COLUMN");
  expect(await codeOf(LIVE_AGGREGATE, {})).toBe("INVALID_QUERY");
  expect(await codeOf(LIVE_SEARCH, { page: -1 })).toBe("INVALID_QUERY");
  const unset = { count: true, limit: undefined, where: { text: { $in: [undefined] } } };
  for (const where of [{ ownerId: undefined }, { $not: { ownerId: undefined } }, unset.where])
    expect(observeAggregate(engine, "Note", { ...unset, where }).getSnapshot()).toMatchObject({
      loading: false,
      error: { code: "UNSENDABLE" },
    });
  const { where: _filter, ...counted } = unset;
  expect(observeAggregate(engine, "Note", counted).getSnapshot().error).toBeNull();
  engine.stop();
});
