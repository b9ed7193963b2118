import { afterAll, beforeAll, expect, test } from "bun:test";
import { mutation, v } from "@pylonsync/functions";
import {
  db,
  EngineProvider,
  useAction,
  useAggregate,
  useDelete,
  useEngine,
  useFn,
  useInfiniteQuery,
  useInsert,
  useLiveList,
  useLiveRow,
  useMutation,
  usePaginatedQuery,
  useQueryOneRaw,
  useQueryRaw,
  useSearch,
  useUpdate,
  type UsePaginatedQueryReturn,
} from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { Window } from "happy-dom";
import { useState, useSyncExternalStore, type ReactElement } from "react";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

interface Item {
  id: string;
  rank: number;
  kind: string;
}

const app = appOf(
  buildManifest({
    name: "items",
    version: "1.0.0",
    access: "public",
    entities: [
      entity(
        "Item",
        { rank: field.int(), kind: field.string() },
        { search: { fields: ["kind"], facets: ["kind"], sort: ["rank"] } },
      ),
    ],
  }),
  {
    addItem: mutation({
      args: { rank: v.int() },
      async handler(ctx, { rank }) {
        if (rank < 0) throw ctx.error("TOO_LOW", "A rank begins at 0.");
        return { id: await ctx.db.insert("Item", { rank, kind: "made" }), by: ctx.auth.userId };
      },
    }),
  },
);

let server: TestServer;
let client: TestClient;
let other: TestClient;
let window: Window;
let unmount: () => void;
const restore: Record<string, unknown> = {};
/** The last return value of each hook. */
let seen: ReturnType<typeof useAll>;
let show: (kind: string) => void;
let sync: SyncEngine;

function useAll(kind: string) {
  const engine = useEngine();
  const where = { kind };
  const orderBy = { rank: "asc" } as const;
  const list = useLiveList<Item>(engine, "Item");
  const raw = useQueryRaw<Item>(engine, "Item");
  const row = useLiveRow<Item>(engine, "Item", "item-0");
  const rawRow = useQueryOneRaw<Item>(engine, "Item", "item-0");
  return {
    engine,
    infinite: useInfiniteQuery<Item>(engine, "Item", { where, orderBy, pageSize: 10 }),
    infiniteOfDb: db.useInfiniteQuery<Item>("Item", { where, orderBy }),
    paginated: usePaginatedQuery<Item>(engine, "Item", { where, orderBy, initialNumItems: 5 }),
    paginatedOfDb: db.usePaginatedQuery<Item>("Item", { where, orderBy, initialNumItems: 30 }),
    refused: usePaginatedQuery<Item>(engine, "Item", { initialNumItems: -3 }),
    sums: useAggregate<{ kind: string; count: number; sum_rank: number }>(engine, "Item", {
      count: true,
      sum: ["rank"],
      groupBy: ["kind"],
    }),
    sumsOfDb: db.useAggregate<{ count: number }>("Item", { count: true, where }),
    found: useSearch<Item>(engine, "Item", { query: kind, sort: ["rank", "desc"] }),
    foundOfDb: db.useSearch<Item>("Item", { query: "b", highlight: true }),
    badSearch: db.useSearch<Item>("Item", { filters: { nope: 1 } }),
    wrong: db.useAggregate<{ count: number }>("Item", { sum: ["nope"] }),
    list: useSyncExternalStore(list.subscribe, list.getSnapshot, list.getServerSnapshot),
    raw: raw.getSnapshot(),
    row: useSyncExternalStore(row.subscribe, row.getSnapshot, row.getServerSnapshot),
    rawRow: rawRow.getSnapshot(),
    fn: useFn<{ rank: number }, { id: string }>("addItem"),
    asOther: useFn<{ rank: number }, { by: string }>("addItem", { token: other.token ?? "" }),
    mutation: useMutation<{ rank: number }, { id: string }>("addItem"),
    action: useAction<{ rank: number }, { id: string }>(engine, "addItem"),
    insert: useInsert<Item>(engine, "Item"),
    update: useUpdate<Item>(engine, "Item"),
    remove: useDelete<Item>(engine, "Item"),
  };
}

function Page(): ReactElement {
  const [kind, setKind] = useState("a");
  show = setKind;
  seen = useAll(kind);
  sync = seen.engine;
  return <output>{seen.infinite.data.length}</output>;
}

beforeAll(async () => {
  server = await startServer(app);
  [client, other] = await Promise.all([TestClient.guest(server.url), TestClient.guest(server.url)]);
  for (let rank = 0; rank < 25; rank += 1)
    await client.insert("Item", { id: `item-${rank}`, rank, kind: "a" });
  await client.insert("Item", { id: "other", rank: 1, kind: "b" });
  window = new Window({ url: "http://localhost/" });
  for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
  Object.assign(globalThis, { window, document: window.document });
  const { createRoot } = await import("react-dom/client");
  const container = window.document.createElement("div");
  window.document.body.append(container);
  const root = createRoot(container as never);
  root.render(
    <EngineProvider baseUrl={server.url} token={client.token ?? ""} persist={false}>
      <Page />
    </EngineProvider>,
  );
  unmount = () => root.unmount();
  await until(() => seen?.infinite.data.length === 10);
});
afterAll(async () => {
  unmount();
  sync.stop();
  await reactSettled();
  await window.happyDOM.close();
  Object.assign(globalThis, restore);
  await server.stop();
});

const ranks = (rows: readonly Item[]): number[] => rows.map(({ rank }) => rank);
const upTo = (end: number): number[] => Array.from({ length: end }, (_, rank) => rank);

test("useInfiniteQuery shows one more page per loadMore, and stays live", async () => {
  expect(ranks(seen.infinite.data)).toEqual(upTo(10));
  expect([seen.infinite.hasMore, seen.infinite.loading, seen.infinite.error]).toEqual([
    true,
    false,
    null,
  ]);
  expect(seen.infiniteOfDb.data).toHaveLength(20);
  await seen.infinite.loadMore();
  await until(() => seen.infinite.data.length === 20);
  await seen.infinite.loadMore();
  await until(() => seen.infinite.data.length === 25);
  expect([ranks(seen.infinite.data), seen.infinite.hasMore]).toEqual([upTo(25), false]);
  await client.insert("Item", { id: "late", rank: 25, kind: "a" });
  await until(() => seen.infinite.data.length === 26);
  await client.request("DELETE", "/api/entities/Item/late");
  await until(() => seen.infinite.data.length === 25);
  // A different list starts with its first page.
  show("b");
  await until(() => seen.infinite.data.length === 1);
  show("a");
  await until(() => seen.infinite.data.length === 10);
});

test("usePaginatedQuery returns a status, and shows as many more rows as requested", async () => {
  expect([ranks(seen.paginated.results), seen.paginated.status]).toEqual([upTo(5), "CanLoadMore"]);
  expect([seen.paginatedOfDb.results.length, seen.paginatedOfDb.status]).toEqual([25, "Exhausted"]);
  seen.paginated.loadMore();
  await until(() => seen.paginated.results.length === 10);
  seen.paginated.loadMore(12);
  await until(() => seen.paginated.results.length === 22);
  seen.paginated.loadMore(0);
  seen.paginated.loadMore(Number.NaN);
  seen.paginated.loadMore(100);
  await until(() => seen.paginated.status === "Exhausted");
  expect(ranks(seen.paginated.results)).toEqual(upTo(25));
  expect(seen.refused.error?.message).toContain("limit is -2");
});

test("useAggregate is live, and reports errors", async () => {
  // Rows of earlier tests may be in the first results.
  await until(() => seen.sums.data?.[0]?.count === 25 && seen.sumsOfDb.data?.[0]?.count === 25);
  expect(seen.sums.data?.find(({ kind }) => kind === "a")).toEqual({
    kind: "a",
    count: 25,
    sum_rank: 300,
  });
  expect([seen.sums.loading, seen.sumsOfDb.data]).toEqual([false, [{ count: 25 }]]);
  await client.insert("Item", { id: "more", rank: 100, kind: "b" });
  await until(() => seen.sums.data?.find(({ kind }) => kind === "b")?.count === 2);
  await client.request("DELETE", "/api/entities/Item/more");
  await until(() => seen.sums.data?.find(({ kind }) => kind === "b")?.count === 1);
  await until(() => seen.wrong.error !== null);
  expect([seen.wrong.data, seen.wrong.loading]).toEqual([null, false]);
  expect(seen.wrong.error).toMatchObject({ status: 400, message: 'Item has no field "nope".' });
});

test("useSearch is live, and reports errors", async () => {
  await until(() => seen.found.total === 25 && seen.foundOfDb.total === 1);
  expect([seen.found.total, seen.found.hits[0]?.id]).toEqual([25, "item-24"]);
  expect(seen.found.facetCounts).toEqual({ kind: { a: 25 } });
  expect(seen.foundOfDb.highlights).toEqual([{ kind: { text: "b", marks: [[0, 1]] } }]);
  await client.insert("Item", { id: "late", rank: 200, kind: "b" });
  await until(() => seen.foundOfDb.total === 2);
  await client.request("DELETE", "/api/entities/Item/late");
  await until(() => seen.foundOfDb.total === 1);
  await until(() => seen.badSearch.error !== null);
  expect(seen.badSearch.error).toMatchObject({ status: 400, message: 'Item has no field "nope".' });
  expect([seen.badSearch.hits, seen.badSearch.loading]).toEqual([[], false]);
  show("b");
  await until(() => !seen.found.loading && seen.found.hits[0]?.id === "other");
  show("a");
  await until(() => !seen.found.loading && seen.found.total === 25);
});

test.each(["all", "queries"] as const)(
  "counts and hits are live on a page that shows no rows, with a replica of %s",
  async (mode) => {
    const engine = createSyncEngine(server.url, {
      sync: mode,
      token: client.token ?? "",
      persist: false,
      storage: createWriteThroughStorage({}, () => undefined),
    });
    let shown: readonly unknown[] = [];
    function Dashboard(): null {
      const where = { kind: `of ${mode}` };
      const spec = { count: true, sum: ["rank"], where } as const;
      const { data } = useAggregate<{ count: number; sum_rank: number | null }>(
        engine,
        "Item",
        spec,
      );
      const { total, facetCounts } = useSearch<Item>(engine, "Item", { query: mode });
      shown = [data?.[0]?.count, data?.[0]?.sum_rank, total, facetCounts["kind"]];
      return null;
    }
    const { createRoot } = await import("react-dom/client");
    const root = createRoot(window.document.createElement("div") as never);
    root.render(<Dashboard />);
    engine.start();
    const toBe = (...expected: unknown[]): Promise<void> =>
      until(() => Bun.deepEquals(shown, expected));
    await toBe(0, null, 0, {});
    const kind = `of ${mode}`;
    await client.insert("Item", { id: mode, rank: 4, kind });
    await toBe(1, 4, 1, { [kind]: 1 });
    await client.request("PATCH", `/api/entities/Item/${mode}`, { rank: 6 });
    await toBe(1, 6, 1, { [kind]: 1 });
    await client.request("DELETE", `/api/entities/Item/${mode}`);
    await toBe(0, null, 0, {});
    root.unmount();
    engine.stop();
  },
);

test("rows for useSyncExternalStore are live, and keep their identity until a change", async () => {
  expect([seen.list.length, seen.raw.length]).toEqual([26, 26]);
  expect(seen.raw).toEqual([...seen.list]);
  expect([seen.row?.rank, seen.rawRow?.rank]).toEqual([0, 0]);
  await client.request("PATCH", "/api/entities/Item/item-0", { kind: "c" });
  await until(() => seen.row?.kind === "c");
  await client.request("PATCH", "/api/entities/Item/item-0", { kind: "a" });
  await until(() => seen.row?.kind === "a");
});

test("functions are called by name, with a state, another token, or neither", async () => {
  const { id } = await seen.fn.call({ rank: 50 });
  await until(() => seen.fn.data?.id === id);
  await expect(seen.fn.call({ rank: -1 })).rejects.toMatchObject({ code: "TOO_LOW" });
  await until(() => seen.fn.error?.message === "A rank begins at 0.");
  seen.fn.reset();
  await until(() => seen.fn.error === null);
  expect((await seen.asOther.call({ rank: 51 })).by).toBe(other.userId);
  expect((await seen.mutation.mutate({ rank: 52 })).id).toBeString();
  expect((await seen.action({ rank: 53 })).id).toBeString();
  await until(() => sync.store.list("Item").filter(({ kind }) => kind === "made").length === 4);
});

test("rows are written immediately, by functions with a stable identity", async () => {
  const { insert, update, remove } = seen;
  const id = await insert({ rank: 70, kind: "own" });
  await update(id, { kind: "mine" });
  expect(sync.store.get("Item", id)).toMatchObject({ rank: 70, kind: "mine" });
  await sync.flushed();
  expect((await client.request("GET", `/api/entities/Item/${id}`)).body["kind"]).toBe("mine");
  await remove(id);
  await sync.flushed();
  expect((await client.request("GET", `/api/entities/Item/${id}`)).status).toBe(404);
  expect([seen.insert, seen.update, seen.remove]).toEqual([insert, update, remove]);
  expect(seen.insert).toBe(insert);
});

test("with sync queries, each page is requested when it is shown", async () => {
  const engine = createSyncEngine(server.url, {
    sync: "queries",
    token: client.token ?? "",
    persist: false,
    storage: createWriteThroughStorage({}, () => undefined),
  });
  const statuses: string[] = [];
  let list: UsePaginatedQueryReturn<Item> | undefined;
  let hasMore = true;
  function Pages(): null {
    const where = { kind: "a" };
    list = usePaginatedQuery<Item>(engine, "Item", { where, initialNumItems: 20 });
    ({ hasMore } = useInfiniteQuery<Item>(engine, "Item", { where, pageSize: 30 }));
    if (statuses.at(-1) !== list.status) statuses.push(list.status);
    return null;
  }
  const { createRoot } = await import("react-dom/client");
  const root = createRoot(window.document.createElement("div") as never);
  root.render(<Pages />);
  engine.start();
  await until(() => list?.results.length === 20 && list.status === "CanLoadMore");
  await until(() => !hasMore);
  list?.loadMore();
  await until(() => list?.results.length === 25 && list.status === "Exhausted");
  const seenOnTheWay = ["LoadingFirstPage", "CanLoadMore", "Exhausted"];
  expect(statuses.filter((status) => status !== "LoadingMore")).toEqual(seenOnTheWay);
  root.unmount();
  engine.stop();
});
