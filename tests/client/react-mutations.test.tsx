import { afterAll, beforeAll, expect, test } from "bun:test";
import { mutation, v } from "@pylonsync/functions";
import { useMutation, type FunctionCalls } from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { Window } from "happy-dom";
import type { ReactElement } from "react";
import { until } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "shop",
    version: "1.0.0",
    access: "public",
    entities: [entity("Order", { title: field.string() })],
  }),
  {
    place: mutation({
      args: { title: v.string() },
      handler: async (ctx, { title }) => ({ orderId: await ctx.db.insert("Order", { title }) }),
    }),
  },
);

let server: TestServer;
let sync: SyncEngine;
let window: Window;
let unmount: () => void;
let place: FunctionCalls<{ title: unknown }, { orderId: string }>;
const restore: Record<string, unknown> = {};
const unhandled: unknown[] = [];
const note = (cause: unknown): void => void unhandled.push(cause);

function Place(): ReactElement {
  place = useMutation<{ title: unknown }, { orderId: string }>(sync, "place");
  return <output>{place.error?.message ?? place.data?.orderId ?? ""}</output>;
}

const shown = (): string => window.document.querySelector("output")?.textContent ?? "";

beforeAll(async () => {
  server = await startServer(app);
  sync = createSyncEngine(server.url, {
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
  root.render(<Place />);
  unmount = () => root.unmount();
  process.on("unhandledRejection", note);
  await until(() => place !== undefined);
});
afterAll(async () => {
  process.off("unhandledRejection", note);
  unmount();
  sync.stop();
  await window.happyDOM.close();
  Object.assign(globalThis, restore);
  await server.stop();
});

test("mutate gives the function's result, and shows it", async () => {
  const { orderId } = await place.mutate({ title: "book" });
  expect(orderId).toMatch(/./);
  await until(() => shown() === orderId);
  expect(place.loading).toBe(false);
});

test("mutate rejects with what is shown as the error", async () => {
  const failure: unknown = await place.mutate({ title: 1 }).catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(Error);
  await until(() => shown() !== "" && shown() === (failure as Error).message);
  expect(place.data).toBeNull();
  place.reset();
  await until(() => shown() === "");
});

test("a call whose promise is left alone is not an unhandled rejection", async () => {
  void place.mutate({ title: 2 });
  await until(() => place.error !== null);
  const { orderId } = await place.mutate({ title: "pen" });
  await until(() => shown() === orderId);
  expect(unhandled).toEqual([]);
});
