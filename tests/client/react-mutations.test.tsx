import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mutation, v } from "@pylonsync/functions";
import { useMutation, useQuery, type FunctionCalls, type OptimisticStore } from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createSyncEngine, createWriteThroughStorage, type SyncEngine } from "@pylonsync/sync";
import { Window } from "happy-dom";
import type { ReactElement } from "react";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "shop",
    version: "1.0.0",
    access: "public",
    entities: [entity("Order", { title: field.string(), copies: field.int().default(1) })],
  }),
  {
    placeAs: mutation({
      args: { id: v.string(), title: v.string() },
      async handler(ctx, { id, title }) {
        await gate;
        if (title === "sold out") throw ctx.error("SOLD_OUT", "It is sold out.");
        await ctx.db.insert("Order", { id, title });
      },
    }),
    copy: mutation({
      args: { id: v.string() },
      async handler(ctx, { id }) {
        await ctx.db.update("Order", id, { copies: { $increment: 1 } });
      },
    }),
    place: mutation({
      args: { title: v.string() },
      handler: async (ctx, { title }) => ({ orderId: await ctx.db.insert("Order", { title }) }),
    }),
  },
);

/** A promise that the function awaits. */
let gate: Promise<unknown> = Promise.resolve();
let server: TestServer;
let sync: SyncEngine;
let window: Window;
let unmount: () => void;
let place: FunctionCalls<{ title: unknown }, { orderId: string }>;
interface Placing {
  readonly id: string;
  readonly title: string;
}
let placeAs: FunctionCalls<Placing, null>;
let copy: FunctionCalls<{ id: string }, null>;
/** All rendered lists of orders, in order. */
const history: string[] = [];
const showOrder = (store: OptimisticStore, { id, title }: Placing): void => {
  store.insert("Order", { id, title });
  store.update("Order", id, { title: `${String(store.get("Order", id)?.["title"])}...` });
};
const showCopy = (store: OptimisticStore, { id }: { readonly id: string }): void =>
  store.update("Order", id, { copies: { $increment: 1 } });

const restore: Record<string, unknown> = {};
const unhandled: unknown[] = [];
const note = (cause: unknown): void => void unhandled.push(cause);

function Place(): ReactElement {
  place = useMutation<{ title: unknown }, { orderId: string }>(sync, "place");
  placeAs = useMutation<Placing, null>(sync, "placeAs").withOptimistic(showOrder);
  copy = useMutation<{ id: string }, null>(sync, "copy").withOptimistic(showCopy);
  const { data } = useQuery<{ title: string; copies?: number }>(sync, "Order", {
    where: { title: { $startsWith: "a " } },
  });
  const now = data.map(({ title, copies }) => `${title} x${copies ?? 1}`).join();
  if (history.at(-1) !== now) history.push(now);
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
  await reactSettled();
  await window.happyDOM.close();
  Object.assign(globalThis, restore);
  await server.stop();
});

test("mutate returns the function's result, and shows it", async () => {
  const { orderId } = await place.mutate({ title: "book" });
  expect(orderId).toMatch(/./);
  await until(() => shown() === orderId);
  expect(place.loading).toBe(false);
});

test("mutate rejects with the error that is shown", async () => {
  const failure: unknown = await place.mutate({ title: 1 }).catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(Error);
  await until(() => shown() !== "" && shown() === (failure as Error).message);
  expect(place.data).toBeNull();
  place.reset();
  await until(() => shown() === "");
});

test("a call whose promise is ignored is not an unhandled rejection", async () => {
  void place.mutate({ title: 2 });
  await until(() => place.error !== null);
  const { orderId } = await place.mutate({ title: "pen" });
  await until(() => shown() === orderId);
  expect(unhandled).toEqual([]);
});

describe("withOptimistic", () => {
  beforeAll(async () => {
    await sync.session.signInAsGuest();
    sync.start();
    await until(() => sync.status.connection === "live");
  });
  beforeEach(() => history.splice(0));
  const isIdle = (): boolean => sync.mutations.all().length === 0;

  test("shows what a call will write until the replica has it, without a gap", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const { mutate } = placeAs;
    const done = mutate({ id: "lamp", title: "a lamp" });
    await until(() => history.at(-1) === "a lamp... x1");
    expect([sync.status.pending, placeAs.mutate === mutate]).toEqual([0, true]);
    resolve();
    await done;
    await until(() => history.at(-1) === "a lamp x1" && isIdle());
    expect(history).toEqual(["a lamp... x1", "a lamp x1"]);
  });

  test("adds to a number once, whichever of change and response arrives first", async () => {
    for (let copies = 2; copies < 7; copies += 1) {
      await copy.mutate({ id: "lamp" });
      await until(() => isIdle() && sync.store.get("Order", "lamp")?.["copies"] === copies);
    }
    expect(history.join(" | ")).toMatch(
      /^a lamp x2 \| a lamp x3 \| [^|]+x4 \| [^|]+x5 \| [^|]+x6$/,
    );
  });

  test("rolls back the update of a failed call, and shows the error", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    void placeAs.mutate({ id: "none", title: "sold out" });
    expect(sync.store.get("Order", "none")).toMatchObject({ title: "sold out..." });
    resolve();
    await until(() => placeAs.error?.message === "It is sold out.");
    expect([sync.store.get("Order", "none"), isIdle()]).toEqual([null, true]);
  });

  test("hides the update from other users, and calls nothing if the update throws", async () => {
    const other = await TestClient.guest(server.url);
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    void placeAs.mutate({ id: "chair", title: "a chair" });
    sync.session.setToken(other.token ?? "");
    await until(() => isIdle() && sync.store.get("Order", "chair") === null);
    resolve();
    await until(() => sync.store.get("Order", "chair")?.["title"] === "a chair" && isIdle());
    const broken = place.withOptimistic(() => {
      throw new Error("No such shelf.");
    });
    const before = sync.store.list("Order").length;
    await expect(broken.mutate({ title: "a desk" })).rejects.toThrow("No such shelf.");
    await sync.pull();
    expect(sync.store.list("Order")).toHaveLength(before);
  });
});
