import { afterAll, beforeAll, expect, test } from "bun:test";
import { shard, v } from "@pylonsync/functions";
import { useShard, type ShardState } from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { Window } from "happy-dom";
import type { ReactElement } from "react";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const counter = shard({
  input: v.object({ add: v.int() }),
  instances: true,
  init: () => ({ count: 0 }),
  onInput: (state, _player, { add }) => {
    state.count += add;
  },
  view: ({ count }) => ({ count }),
});
const app = appOf(
  buildManifest({
    name: "counter",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
  }),
  {},
  [],
  { counter },
);

type State = ShardState<{ readonly count: number }, { readonly add: number }>;

let server: TestServer;
let window: Window;
let render: (shardId: string | null) => void;
let state: State;
let player: TestClient;
const restore: Record<string, unknown> = {};

function Counter({ shardId }: { readonly shardId: string }): ReactElement {
  state = useShard<{ readonly count: number }, { readonly add: number }>(shardId, {
    subscriberId: player.userId,
    baseUrl: server.url,
    ...(player.token === null ? {} : { token: player.token }),
  });
  return <output>{state.snapshot?.count ?? "..."}</output>;
}

const shown = (): string | undefined => window.document.querySelector("output")?.textContent;

beforeAll(async () => {
  server = await startServer(app);
  player = await TestClient.guest(server.url);
  window = new Window({ url: "http://localhost/" });
  for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
  Object.assign(globalThis, { window, document: window.document });
  const { createRoot } = await import("react-dom/client");
  const container = window.document.createElement("div");
  window.document.body.append(container);
  const root = createRoot(container as never);
  render = (shardId) => root.render(shardId === null ? null : <Counter shardId={shardId} />);
});
afterAll(async () => {
  render(null);
  await until(() => shown() === undefined);
  await reactSettled();
  await window.happyDOM.close();
  Object.assign(globalThis, restore);
  await server.stop();
});

test("a component shows the shard, sends inputs, and sees which were processed", async () => {
  render("counter");
  await until(() => shown() === "0");
  expect(state).toMatchObject({ connected: true, error: null, ack: null });
  expect(state.send({ add: 5 })).toBe(1);
  await until(() => shown() === "5");
  expect(state.ack).toBe(1);
  expect(state.tick).toBeGreaterThan(0);
});

test("another shard opens another connection, and the old view is gone", async () => {
  render("counter:second");
  await until(() => shown() === "0");
  expect(state.send({ add: 2 })).toBe(1);
  await until(() => shown() === "2");
});

test("the error of a shard that does not exist is permanent", async () => {
  render("nowhere");
  await until(() => state.error !== null);
  expect([state.connected, state.snapshot, state.error?.message]).toEqual([
    false,
    null,
    'The shard "nowhere" does not exist.',
  ]);
  state.close();
  expect(state.send({ add: 1 })).toBe(1);
});
