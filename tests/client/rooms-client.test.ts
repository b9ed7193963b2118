import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { getEngine, init, useRoom, type RoomResult } from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  type PresenceMessage,
  type RoomBroadcast,
  type SyncEngine,
  type TopicMessage,
  type TransportType,
} from "@pylonsync/sync";
import { Window } from "happy-dom";
import { createElement, StrictMode } from "react";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "rooms",
    version: "1.0.0",
    access: "public",
    peerMessages: "tenant",
    entities: [entity("Note", { text: field.string() })],
  }),
);

let server: TestServer;
let cleanups: (() => unknown)[] = [];
beforeAll(async () => {
  server = await startServer(app);
});
afterEach(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
  cleanups = [];
});
afterAll(() => server.stop());

interface User {
  readonly client: TestClient;
  readonly engine: SyncEngine;
}

async function signIn(transport: TransportType = "websocket"): Promise<User> {
  const client = await TestClient.guest(server.url);
  const engine = createSyncEngine(server.url, {
    transport,
    token: client.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
  });
  engine.start();
  cleanups.push(() => engine.stop());
  await until(() => engine.connected);
  return { client, engine };
}

test("the others receive what a client publishes, over sockets and event streams", async () => {
  const [speaker, listener, streamer] = await Promise.all([signIn(), signIn(), signIn("sse")]);
  const presence: PresenceMessage[] = [];
  const topics: TopicMessage[] = [];
  const listening = new Set<SyncEngine>();
  for (const { engine } of [listener, streamer]) {
    engine.onPresence((message) => presence.push(message));
    engine.onTopic((message) => {
      if (message.topic === "ready") listening.add(engine);
      else topics.push(message);
    });
  }
  // An open connection may not be subscribed to the room yet.
  await until(async () => {
    speaker.engine.publishTopic("ready", null);
    await Bun.sleep(50);
    return listening.size === 2;
  });
  speaker.engine.setPresence({ x: 1 });
  speaker.engine.publishTopic("chat", "hi");
  streamer.engine.publishTopic("chat", "can't be sent over a stream");
  const from = speaker.client.userId;
  await until(() => presence.length === 2 && topics.length === 2);
  expect(presence).toEqual(
    [0, 1].map(() => ({ type: "presence", event: "update", data: { x: 1 }, from })),
  );
  expect(topics).toEqual([0, 1].map(() => ({ type: "topic", topic: "chat", data: "hi", from })));
});

test("a room shows its peers, delivers broadcasts, and recovers after a loss", async () => {
  const [alice, bob] = await Promise.all([signIn(), signIn()]);
  const room = alice.engine.joinRoom("r", alice.client.userId, {
    initialPresence: { name: "Alice" },
    heartbeatInterval: 300,
  });
  cleanups.push(() => room.leave());
  const messages: RoomBroadcast[] = [];
  room.onBroadcast((message) => messages.push(message));
  await until(() => room.state.isConnected);
  const other = bob.engine.joinRoom("r", bob.client.userId, {
    initialPresence: { name: "Bob" },
    heartbeatInterval: 60_000,
  });
  await until(() => room.state.peers.length === 1 && other.state.peers.length === 1);
  expect(other.state.peers).toEqual([
    {
      user_id: alice.client.userId,
      data: { name: "Alice" },
      joined_at: expect.any(String) as string,
    },
  ]);
  await other.setPresence({ name: "Robert" });
  await until(() => JSON.stringify(room.state.peers[0]?.data) === '{"name":"Robert"}');
  await other.broadcast("wave", { hand: "left" });
  await until(() => messages.length === 1);
  expect(messages).toEqual([
    {
      type: "broadcast",
      room: "r",
      sender: bob.client.userId,
      topic: "wave",
      data: { hand: "left" },
    },
  ]);

  const seen: number[] = [];
  other.onChange(({ peers }) => seen.push(peers.length));
  await alice.client.request("POST", "/api/rooms/leave", { room: "r" });
  await until(() => seen.includes(0) && seen.at(-1) === 1);
  await other.leave();
  await until(() => room.state.peers.length === 0);
  expect(other.state).toEqual({ peers: [], isConnected: false, error: null });
  await room.leave();
});

test("the room of a user without access has the server's error", async () => {
  const { engine, client } = await signIn();
  const room = engine.joinRoom("", client.userId);
  await until(() => room.state.error !== null);
  expect(room.state).toMatchObject({ isConnected: false, error: { code: "MISSING_ROOM" } });
  await room.leave();
});

test("useRoom joins the room while the component is mounted", async () => {
  const window = new Window();
  const globals = { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: false };
  for (const [name, value] of Object.entries(globals))
    Object.defineProperty(globalThis, name, { value, configurable: true });
  cleanups.push(async () => {
    await reactSettled();
    for (const name of Object.keys(globals)) Reflect.deleteProperty(globalThis, name);
  });
  const { createRoot } = await import("react-dom/client");
  const [alice, bob] = await Promise.all([TestClient.guest(server.url), signIn()]);
  init({
    baseUrl: server.url,
    token: alice.token ?? "",
    storage: createWriteThroughStorage({}, () => undefined),
  });
  cleanups.push(() => init());
  let shown: RoomResult | undefined;
  const heard: RoomBroadcast[] = [];
  const Show = (): null => {
    shown = useRoom("hook", alice.userId, {
      initialPresence: { name: "Alice" },
      heartbeatInterval: 60_000,
      onBroadcast: (message) => heard.push(message),
    });
    return null;
  };
  const root = createRoot(window.document.createElement("div") as unknown as Element);
  cleanups.push(() => root.unmount());
  root.render(createElement(StrictMode, null, createElement(Show)));
  // Only connections that are open when a broadcast is sent receive it.
  await until(() => shown?.isConnected === true && getEngine().connected);
  const room = bob.engine.joinRoom("hook", bob.client.userId);
  cleanups.push(() => room.leave());
  await until(() => shown?.peers.length === 1 && room.state.peers.length === 1);
  expect(room.state.peers).toMatchObject([{ user_id: alice.userId, data: { name: "Alice" } }]);
  await shown?.setPresence({ name: "Al" });
  await until(() => JSON.stringify(room.state.peers[0]?.data) === '{"name":"Al"}');
  // An unhandled rejection would fail the test: handlers of events ignore the promises.
  void shown?.broadcast("");
  void shown?.setPresence("x".repeat(20_000));
  await room.broadcast("wave");
  await until(() => heard.length === 1);
  root.unmount();
  await until(() => room.state.peers.length === 0);
  await room.leave();
});
