import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { query, v } from "@pylonsync/functions";
import {
  createSyncEngine,
  createWriteThroughStorage,
  type LiveFunction,
  type SyncEngine,
} from "@pylonsync/sync";
import { EngineProvider, useFunction, type FunctionResult } from "@pylonsync/react";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { Window } from "happy-dom";
import { StrictMode, useState, type ReactElement } from "react";
import { renderToString } from "react-dom/server";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const runs = { titles: 0 };
const app = appOf(
  buildManifest({
    name: "live-function-client",
    version: "1.0.0",
    entities: [entity("Todo", { title: field.string(), ownerId: field.string().optional() })],
    policies: [policy({ name: "admin", entity: "Todo", allow: "auth.isAdmin" })],
  }),
  {
    titles: query({
      args: { like: v.optional(v.string()) },
      handler: async (ctx, { like = "" }) => {
        runs.titles += 1;
        const rows = await ctx.db.query("Todo", { title: { $like: like } });
        return rows.map(({ title }) => title);
      },
    }),
    mine: query({
      handler: async (ctx) => [
        ctx.auth.userId,
        await ctx.db.count("Todo", { ownerId: ctx.auth.userId ?? "" }),
      ],
    }),
    first: query({
      errors: { EMPTY: { rows: v.int() } },
      handler: async (ctx) => {
        const [row] = await ctx.db.query("Todo", { $limit: 1 });
        if (row === undefined) throw ctx.error("EMPTY", "There is nothing.", { rows: 0 });
        return row["title"];
      },
    }),
  },
);

let server: TestServer;
let admin: TestClient;
const engines: SyncEngine[] = [];
beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());
afterEach(async () => {
  for (const engine of engines.splice(0)) engine.stop();
  const { text } = await admin.request("POST", "/api/query/Todo", {});
  for (const { id } of JSON.parse(text) as { readonly id: string }[])
    await admin.request("DELETE", `/api/entities/Todo/${id}`);
});

function engineFor(token?: string): SyncEngine {
  const engine = createSyncEngine(server.url, {
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
    reconnectDelay: 20,
    ...(token === undefined ? {} : { token }),
  });
  engines.push(engine);
  return engine;
}

/** Records all results and errors of a live function. */
function watch(live: LiveFunction): { readonly seen: unknown[]; readonly stop: () => void } {
  const seen: unknown[] = [];
  const look = (): void => {
    const { data, error } = live.getSnapshot();
    seen.push(error === null ? data : error.code);
  };
  return { seen, stop: live.subscribe(look) };
}

test("a live function follows the commits, and equal calls share one subscription", async () => {
  const engine = engineFor();
  const live = engine.live("titles", { like: "a" });
  expect(live.getSnapshot()).toEqual({ data: null, loading: true, error: null });
  const one = watch(live);
  const other = watch(engine.live("titles", { like: "a" }));
  engine.start();
  await until(() => one.seen.length === 1);
  const before = runs.titles;
  await admin.insert("Todo", { title: "tea" });
  await admin.insert("Todo", { title: "milk" });
  await until(() => one.seen.length === 2);
  expect([one.seen, other.seen]).toEqual([
    [[], ["tea"]],
    [[], ["tea"]],
  ]);
  expect(runs.titles - before).toBe(1);
  const state = live.getSnapshot();
  expect(engine.live("titles", { like: "a" }).getSnapshot()).toBe(state);
  one.stop();
  await admin.insert("Todo", { title: "oats" });
  await until(() => other.seen.length === 3);
  expect(one.seen.length).toBe(2);
});

test("errors are reported with the last result, and cleared by the next one", async () => {
  const engine = engineFor();
  engine.start();
  const first = watch(engine.live("first"));
  const unknown = watch(engine.live("nothing"));
  const wrong = watch(engine.live("titles", { like: 5 }));
  await until(() => [first, unknown, wrong].every(({ seen }) => seen.length > 0));
  expect([first.seen, unknown.seen, wrong.seen]).toEqual([
    ["EMPTY"],
    ["FN_NOT_FOUND"],
    ["INVALID_ARGS"],
  ]);
  const id = await admin.insert("Todo", { title: "tea" });
  await until(() => first.seen.length === 2);
  await admin.request("DELETE", `/api/entities/Todo/${id}`);
  await until(() => first.seen.length === 3);
  expect(first.seen).toEqual(["EMPTY", "tea", "EMPTY"]);
  expect(engine.live("first").getSnapshot()).toMatchObject({
    data: "tea",
    loading: false,
    error: { code: "EMPTY", data: { rows: 0 } },
  });
  expect(() => engine.live("first", { at: 1n })).toThrow("BigInt");
});

test("another user sees none of the previous user's results", async () => {
  const ann = await TestClient.guest(server.url);
  const engine = engineFor(String(ann.token));
  engine.start();
  const live = engine.live("mine");
  const { seen } = watch(live);
  await until(() => seen.length === 1);
  await admin.insert("Todo", { title: "own", ownerId: ann.userId });
  await until(() => seen.length === 2);
  expect(seen).toEqual([
    [ann.userId, 0],
    [ann.userId, 1],
  ]);
  engine.session.setToken(null);
  expect(live.getSnapshot().data).not.toEqual([ann.userId, 1]);
  await until(() => Bun.deepEquals(seen.at(-1), [null, 0]));
});

test("a function resumes when the server is back", async () => {
  const own = await startServer(app);
  const port = new URL(own.url).port;
  const engine = createSyncEngine(own.url, {
    storage: createWriteThroughStorage({}, () => undefined),
    persist: false,
    reconnectDelay: 20,
  });
  engines.push(engine);
  engine.start();
  const live = engine.live("titles", {});
  const { seen } = watch(live);
  await until(() => seen.length === 1);
  const { data } = live.getSnapshot();
  await own.stop();
  const again = await startServer(app, { PYLON_PORT: port, PYLON_SINGLE_PORT: "1" });
  try {
    await new TestClient(again.url, ADMIN_TOKEN).insert("Todo", { title: "after" });
    await until(() => seen.length === 2);
    expect(seen).toEqual([[], ["after"]]);
    expect(data).toEqual([]);
  } finally {
    engine.stop();
    await again.stop();
  }
});

/** All results that the components were given. */
const results = new Set<FunctionResult<string[]>>();
let show = (_like: string): void => undefined;

function Titles({ like }: { readonly like: string }): ReactElement {
  const result = useFunction<string[]>("titles", { like });
  results.add(result);
  const { data, loading, error } = result;
  return <p>{loading ? "loading" : (error?.message ?? data?.join(" "))}</p>;
}

function Page(): ReactElement {
  const [like, setLike] = useState("");
  show = setLike;
  return (
    <EngineProvider baseUrl={server.url} persist={false}>
      <Titles like={like} />
      <Titles like={like} />
    </EngineProvider>
  );
}

test("useFunction shares one result per arguments between all components", async () => {
  const window = new Window({ url: "http://localhost/" });
  const restore: Record<string, unknown> = {};
  for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
  // During server rendering the result is not known yet.
  expect(renderToString(<Page />)).toBe("<p>loading</p><p>loading</p>");
  Object.assign(globalThis, { window, document: window.document });
  const { createRoot } = await import("react-dom/client");
  const container = window.document.createElement("div");
  const root = createRoot(container as never);
  try {
    results.clear();
    root.render(
      <StrictMode>
        <Page />
      </StrictMode>,
    );
    await until(() => container.innerHTML === "<p></p><p></p>");
    await admin.insert("Todo", { title: "tea" });
    await until(() => container.innerHTML === "<p>tea</p><p>tea</p>");
    // Loading, empty, tea: all components get the same object for each.
    expect(results.size).toBe(3);
    show("x");
    await until(() => container.innerHTML === "<p></p><p></p>");
    show("");
    await until(() => container.innerHTML === "<p>tea</p><p>tea</p>");
  } finally {
    root.unmount();
    await reactSettled();
    await window.happyDOM.close();
    Object.assign(globalThis, restore);
  }
});
