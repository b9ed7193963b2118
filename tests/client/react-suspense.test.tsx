import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { query, v } from "@pylonsync/functions";
import {
  EngineProvider,
  useEngine,
  useSuspenseFunction,
  useSuspenseQuery,
  useSuspenseQueryOne,
} from "@pylonsync/react";
import { buildManifest, entity, field, relation } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { Window } from "happy-dom";
import { Component, startTransition, Suspense, useState, type ReactNode } from "react";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

let isBroken = true;

const app = appOf(
  buildManifest({
    name: "suspense",
    version: "1.0.0",
    access: "public",
    entities: [
      entity(
        "List",
        { name: field.string() },
        { relations: [relation({ name: "todos", target: "Todo", field: "listId", many: true })] },
      ),
      entity("Todo", { title: field.string(), listId: field.id("List") }),
    ],
  }),
  {
    count: query({
      args: { listId: v.string() },
      async handler(ctx, { listId }) {
        if (listId === "broken" && isBroken) throw ctx.error("BROKEN", "It can't be counted.");
        return (await ctx.db.query("Todo", { listId })).length;
      },
    }),
  },
);

interface Boundary {
  readonly error: Error | null;
}

/** Shows the error, and renders its children again after a reset. */
class Catch extends Component<{ readonly children: ReactNode }, Boundary> {
  override state: Boundary = { error: null };
  static getDerivedStateFromError(error: Error): Boundary {
    return { error };
  }
  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <button onClick={() => this.setState({ error: null })}>{error.message}</button>;
  }
}

let listRenders = 0;
function List({ id }: { readonly id: string }): ReactNode {
  const sync = useEngine();
  const { data: list } = useSuspenseQueryOne<{ name: string }>(sync, "List", id);
  const { data: todos } = useSuspenseQuery<{ title: string }>(sync, "Todo", {
    where: { listId: id },
    orderBy: { title: "asc" },
  });
  const { data: lists } = useSuspenseQuery<{ todos: object[] }>(sync, "List", {
    where: { id },
    include: { todos: true },
  });
  const { data: count } = useSuspenseFunction<number>("count", { listId: id });
  listRenders += 1;
  const titles = todos.map(({ title }) => title).join();
  return `${list?.name ?? "none"}: ${titles} (${count}, ${lists[0]?.todos.length ?? 0})`;
}

function Wrong(): ReactNode {
  return useSuspenseQuery(useEngine(), "Todo", { limit: -1 }).data.length;
}

let server: TestServer;
let client: TestClient;
let window: Window;
let show: (id: string) => void;
let engine: SyncEngine;
const restore: Record<string, unknown> = {};
const shown = (): string => window.document.querySelector("output")?.textContent ?? "";

function Page(): ReactNode {
  const [id, setId] = useState("home");
  show = setId;
  engine = useEngine();
  return (
    <output>
      <Catch>
        <Suspense fallback="Loading">{id === "wrong" ? <Wrong /> : <List id={id} />}</Suspense>
      </Catch>
    </output>
  );
}

beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  for (const id of ["home", "work", "broken"]) await client.insert("List", { id, name: id });
  await client.insert("Todo", { title: "milk", listId: "home" });
  await client.insert("Todo", { title: "mail", listId: "work" });
  window = new Window({ url: "http://localhost/" });
  for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
  Object.assign(globalThis, { window, document: window.document });
});
afterAll(async () => {
  await reactSettled();
  await window.happyDOM.close();
  Object.assign(globalThis, restore);
  await server.stop();
});

describe.each(["all", "queries"] as const)("with a replica of %s", (mode) => {
  let unmount: () => void;
  beforeAll(async () => {
    isBroken = true;
    listRenders = 0;
    const { createRoot } = await import("react-dom/client");
    const container = window.document.createElement("div");
    window.document.body.append(container);
    const texts = new Set<string>();
    const observer = new window.MutationObserver(() => texts.add(shown()));
    observer.observe(container, { subtree: true, childList: true, characterData: true });
    const root = createRoot(container as never, { onCaughtError: () => undefined });
    root.render(
      <EngineProvider
        baseUrl={server.url}
        appName={mode}
        sync={mode}
        token={client.token ?? ""}
        persist={false}
      >
        <Page />
      </EngineProvider>,
    );
    unmount = () => {
      root.unmount();
      container.remove();
    };
    // It may be shown for less time than passes between two looks.
    await until(() => texts.has("Loading"));
    observer.disconnect();
  });
  afterAll(() => {
    unmount();
    engine.stop();
  });

  test("a component renders when all its data is loaded, and then follows it", async () => {
    await until(() => shown() === "home: milk (1, 1)");
    expect(listRenders).toBeLessThanOrEqual(2);
    const id = await client.insert("Todo", { title: "tea", listId: "home" });
    await until(() => shown() === "home: milk,tea (2, 2)");
    await client.request("DELETE", `/api/entities/Todo/${id}`);
    await until(() => shown() === "home: milk (1, 1)");
  });

  test("a transition shows the old value until the new one is loaded or missing", async () => {
    const seen = new Set<string>();
    const observer = new window.MutationObserver(() => seen.add(shown()));
    observer.observe(window.document.body, { subtree: true, childList: true, characterData: true });
    startTransition(() => show("work"));
    await until(() => shown() === "work: mail (1, 1)");
    startTransition(() => show("nope"));
    await until(() => shown() === "none:  (0, 0)");
    observer.disconnect();
    expect(seen).not.toContain("Loading");
  });

  test("a boundary shows errors, and requests again when it is reset", async () => {
    show("broken");
    await until(() => shown() === "It can't be counted.");
    isBroken = false;
    await until(() => {
      window.document.querySelector("button")?.click();
      return shown() === "broken:  (0, 0)";
    });
    show("wrong");
    await until(() => shown().includes("limit is -1"));
  });
});

test("a server renders the fallback", async () => {
  const script = join(import.meta.dir, "../support/render-on-server.tsx");
  const child = Bun.spawn([process.execPath, script], { stdout: "pipe" });
  const printed: unknown = await new Response(child.stdout).json();
  expect(printed).toEqual({
    html: expect.stringContaining("Loading"),
    errors: [expect.stringContaining("Wrap the component in <Suspense>")],
  });
});
