import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { query } from "@pylonsync/functions";
import {
  EngineProvider,
  useAggregate,
  useEngine,
  useFunction,
  useInfiniteQuery,
  useQuery,
  useQueryOne,
  useSearch,
  useSession,
} from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { Window } from "happy-dom";
import type { ReactNode } from "react";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { randomOf } from "../support/random.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// A component is rendered once for each change of what it shows, and never for other changes.

const CHANGES = 1_000;

const app = appOf(
  buildManifest({
    name: "renders",
    version: "1.0.0",
    access: "public",
    entities: [
      entity(
        "Item",
        { shelf: field.int(), rank: field.int(), kind: field.string() },
        { search: { fields: ["kind"] } },
      ),
    ],
  }),
  { count: query({ handler: async (ctx) => (await ctx.db.query("Item")).length }) },
);

let server: TestServer;
let window: Window;
let engine: SyncEngine;
let client: TestClient;
const restore: Record<string, unknown> = {};
const renders: Record<string, number> = {};
const count = (name: string): void => void (renders[name] = (renders[name] ?? 0) + 1);

function Shelf({ shelf }: { readonly shelf: number }): ReactNode {
  const list = useQuery<{ rank: number }>(useEngine(), "Item", { where: { shelf } });
  count(`shelf ${shelf}`);
  return list.isComplete ? list.data.map(({ rank }) => rank).join() : "waits";
}

interface HookState {
  readonly data?: unknown;
  readonly loading: boolean;
}

/**
 * The hooks whose values do not depend on ranks. A row may be shown before the response to its own
 * query, because another query has loaded it: only `loading` shows that no further render is due.
 */
const STILL: Readonly<Record<string, (sync: SyncEngine) => HookState>> = {
  session: () => ({ data: useSession(), loading: false }),
  count: () => useFunction<number>("count"),
  sums: (sync) => useAggregate<{ count: number }>(sync, "Item", { count: true }),
  found: (sync) => useSearch(sync, "Item", { query: "still", highlight: true }),
  row: (sync) => useQueryOne<object>(sync, "Item", "still"),
  list: (sync) => useInfiniteQuery<object>(sync, "Item", { where: { kind: "still" } }),
};

function Still({ name }: { readonly name: string }): ReactNode {
  const state = STILL[name]?.(useEngine());
  count(name);
  return state === undefined || state.loading || state.data === null ? "waits" : "shown";
}

function Page({ shelves }: { readonly shelves: number }): ReactNode {
  engine = useEngine();
  return (
    <>
      {Array.from({ length: shelves }, (_, shelf) => (
        <Shelf key={shelf} shelf={shelf} />
      ))}
      {Object.keys(STILL).map((name) => (
        <Still key={name} name={name} />
      ))}
    </>
  );
}

// A connection has at most 100 subscriptions, and the other hooks need some of them.
describe.each([
  ["all", 100],
  ["queries", 90],
] as const)("with a replica of %s", (mode, shelves) => {
  let unmount: () => void;
  let flush: (run: () => void) => void;

  beforeAll(async () => {
    server = await startServer(app);
    client = await TestClient.guest(server.url);
    for (let shelf = 0; shelf < shelves; shelf += 1)
      await client.insert("Item", { id: `item-${shelf}`, shelf, rank: 0, kind: "moves" });
    await client.insert("Item", { id: "still", shelf: -1, rank: 0, kind: "still" });
    window = new Window({ url: "http://localhost/" });
    for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
    Object.assign(globalThis, { window, document: window.document });
    const { createRoot } = await import("react-dom/client");
    ({ flushSync: flush } = await import("react-dom"));
    const container = window.document.createElement("div");
    const root = createRoot(container as never);
    root.render(
      <EngineProvider
        baseUrl={server.url}
        appName={mode}
        sync={mode}
        token={client.token ?? ""}
        persist={false}
      >
        <Page shelves={shelves} />
      </EngineProvider>,
    );
    unmount = () => root.unmount();
    const isShown = (): boolean =>
      container.textContent === `${"0".repeat(shelves)}${"shown".repeat(6)}`;
    await until(() => isShown() && engine.status.connection === "live");
  });
  afterAll(async () => {
    unmount();
    engine.stop();
    await reactSettled();
    await window.happyDOM.close();
    Object.assign(globalThis, restore);
    await server.stop();
  });

  test(`${CHANGES} changes each render the affected components once`, async () => {
    const random = randomOf(42);
    const expected = { ...renders };
    for (let rank = 1; rank <= CHANGES; rank += 1) {
      const shelf = Math.floor(random() * shelves);
      expected[`shelf ${shelf}`] = (expected[`shelf ${shelf}`] ?? 0) + 1;
      flush(() => void engine.update("Item", `item-${shelf}`, { rank }));
    }
    expect(renders).toEqual(expected);
    // The server's own messages about these rows change nothing.
    await engine.flushed();
    await until(() => engine.mutations.all().length === 0);
    // A change of another client, and the server's responses, arrive after that.
    await client.request("PATCH", "/api/entities/Item/item-7", { rank: -1 });
    // What the server sends because of this one follows everything that it sends before.
    await client.insert("Item", { id: "last", shelf: -1, rank: 0, kind: "still" });
    for (const name of ["shelf 7", "count", "sums", "found", "list"])
      expected[name] = (expected[name] ?? 0) + 1;
    await until(() => Object.keys(expected).every((name) => renders[name] === expected[name]));
    expect(renders).toEqual(expected);
  });
});
