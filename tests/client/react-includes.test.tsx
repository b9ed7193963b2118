import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { usePaginatedQuery, useQuery } from "@pylonsync/react";
import { buildManifest, entity, field, relation } from "@pylonsync/sdk";
import { Window } from "happy-dom";
import type { ReactElement } from "react";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "includes",
    version: "1.0.0",
    access: "public",
    entities: [
      entity(
        "Author",
        { name: field.string() },
        { relations: [relation({ name: "posts", target: "Post", field: "authorId", many: true })] },
      ),
      entity("Post", { title: field.string(), authorId: field.id("Author") }),
    ],
  }),
);

interface Row {
  readonly id: string;
  readonly name: string;
  readonly posts: readonly { readonly id: string; readonly title: string }[];
}

let server: TestServer;
let client: TestClient;
let sync: SyncEngine;
let window: Window;
let unmount: () => void;
let renders = 0;
const restore: Record<string, unknown> = {};

function Authors(): ReactElement {
  const { data, error } = useQuery<Row>(sync, "Author", {
    where: { name: { $startsWith: "A" } },
    include: { posts: { order: { title: "desc" }, limit: 2 } },
  });
  renders += 1;
  const texts = data.map(({ name, posts }) => `${name}: ${posts.map(({ title }) => title).join()}`);
  return <output>{error === null ? texts.join("; ") : error.message}</output>;
}

let showMore: () => void = () => undefined;

function PagedAuthors(): ReactElement {
  const { results, status, loadMore } = usePaginatedQuery<Row>(sync, "Author", {
    orderBy: { name: "asc" },
    include: { posts: { order: { title: "asc" }, limit: 1 } },
    initialNumItems: 1,
  });
  showMore = loadMore;
  const texts = results.map(({ name, posts: [first] }) => `${name}: ${first?.title ?? "none"}`);
  return <p>{`${texts.join("; ")} ${status}`}</p>;
}

const paged = (): string => window.document.querySelector("p")?.textContent ?? "";
const shown = (): string => window.document.querySelector("output")?.textContent ?? "";

describe.each(["all", "queries"] as const)("with a replica of %s", (mode) => {
  beforeAll(async () => {
    server = await startServer(app);
    client = await TestClient.guest(server.url);
    await client.insert("Author", { id: "ann", name: "Ann" });
    await client.insert("Author", { id: "bob", name: "Bob" });
    for (const id of ["p1", "p2", "p3"])
      await client.insert("Post", { id, title: id, authorId: "ann" });
    sync = createSyncEngine(server.url, {
      sync: mode,
      storage: createWriteThroughStorage({}, () => undefined),
      persist: false,
    });
    window = new Window({ url: "http://localhost/" });
    for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
    Object.assign(globalThis, { window, document: window.document });
    const { createRoot } = await import("react-dom/client");
    const container = window.document.createElement("div");
    window.document.body.append(container);
    const root = createRoot(container as never);
    sync.start();
    root.render(
      <>
        <Authors />
        <PagedAuthors />
      </>,
    );
    unmount = () => root.unmount();
  });
  afterAll(async () => {
    unmount();
    sync.stop();
    await reactSettled();
    await window.happyDOM.close();
    Object.assign(globalThis, restore);
    await server.stop();
  });

  test("a list that grows includes related rows too", async () => {
    await until(() => paged() === "Ann: p1 CanLoadMore");
    showMore();
    await until(() => paged() === "Ann: p1; Bob: none Exhausted");
  });

  test("related rows are shown and updated", async () => {
    await until(() => shown() === "Ann: p3,p2");
    await client.insert("Post", { id: "p4", title: "p4", authorId: "ann" });
    await until(() => shown() === "Ann: p4,p3");
    await client.request("DELETE", "/api/entities/Post/p4");
    await until(() => shown() === "Ann: p3,p2");
    await client.request("PATCH", "/api/entities/Author/bob", { name: "Abe" });
    await until(() => shown() === "Ann: p3,p2; Abe: ");
    await sync.update("Post", "p3", { authorId: "bob" });
    await until(() => shown() === "Ann: p2,p1; Abe: p3");
    await client.request("PATCH", "/api/entities/Author/ann", { name: "Zoe" });
    await until(() => shown() === "Abe: p3");
  });

  test("renders only for changes of shown rows", async () => {
    await client.insert("Author", { id: "cleo", name: "Cleo" });
    await client.insert("Post", { id: "c1", title: "c1", authorId: "cleo" });
    const before = renders;
    await client.insert("Post", { id: "c2", title: "c2", authorId: "cleo" });
    await client.insert("Post", { id: "b0", title: "b0", authorId: "bob" });
    await until(() => shown() === "Abe: p3,b0");
    expect(renders).toBe(before + 1);
  });
});
