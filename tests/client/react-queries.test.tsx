import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { useQuery } from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { Window } from "happy-dom";
import { useState, type ReactElement } from "react";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "messages",
    version: "1.0.0",
    access: "public",
    entities: [entity("Message", { channelId: field.string(), at: field.datetime().optional() })],
  }),
);

type Where = Readonly<Record<string, unknown>>;

let server: TestServer;
let sync: SyncEngine;
let window: Window;
let unmount: () => void;
let show: (where: Where) => void;
/** All renders, in order. */
const rendered: { readonly ids: string; readonly isComplete: boolean }[] = [];
const restore: Record<string, unknown> = {};

function List(): ReactElement {
  const [where, setWhere] = useState<Where>({});
  show = setWhere;
  const { data, error, loading, isComplete } = useQuery(sync, "Message", { where });
  rendered.push({ ids: data.map(({ id }) => id).join(" "), isComplete });
  if (loading) return <output>loading</output>;
  return <output>{error === null ? data.map(({ id }) => id).join(" ") : error.message}</output>;
}

const shown = (): string => window.document.querySelector("output")?.textContent ?? "";

describe.each(["all", "queries"] as const)("with a replica of %s", (mode) => {
  beforeAll(async () => {
    server = await startServer(app);
    const client = await TestClient.guest(server.url);
    await client.insert("Message", { id: "a", channelId: "one", at: "2026-01-05" });
    await client.insert("Message", { id: "b", channelId: "two", at: "2026-01-06" });
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
    root.render(<List />);
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

  test("Q1: a value that does not fit its field is the hook's error, once known", async () => {
    await until(() => shown() === "loading");
    show({ at: "soon" });
    await until(() => shown() === "loading");
    sync.start();
    await until(() => shown().includes("ISO 8601"));
    show({ at: { $gte: "2026-01-06T01:00:00+01:00" } });
    await until(() => shown() === "b");
    show({ at: new Date("2026-01-05T00:00:00Z") });
    await until(() => shown() === "a");
  });

  test("P4: an undefined variable is the hook's error, and shows no row", async () => {
    await until(() => sync.status.ready);
    show({});
    await until(() => shown() === "a b");
    show({ channelId: undefined });
    await until(() => shown() === "channelId is undefined.");
    show({ channelId: "two" });
    await until(() => shown() === "b");
    expect(sync.query("Message", { where: { channelId: "two" } }).getSnapshot()).toHaveLength(1);
  });

  test("a list is loading until its rows have arrived, and an empty one is not", async () => {
    show({ channelId: "none" });
    await until(() => shown() === "");
    show({ channelId: "one" });
    await until(() => shown() === "a");
  });

  test("shows rows that are already there before the result is known to be complete", async () => {
    show({});
    await until(() => rendered.at(-1)?.ids === "a b" && rendered.at(-1)?.isComplete === true);
    rendered.length = 0;
    show({ channelId: "two", at: { $gt: "2026-01-01" } });
    await until(() => rendered.at(-1)?.ids === "b" && rendered.at(-1)?.isComplete === true);
    const first = rendered.find(({ ids }) => ids === "b");
    expect(first?.isComplete).toBe(mode === "all");
  });
});
