import { expect, test } from "bun:test";
import type { Identity } from "../identity/identity.ts";
import { ANONYMOUS } from "../identity/identity.ts";
import { RoomRules } from "../policy/room-rules.ts";
import { systemPlatform } from "../platform.ts";
import { ConnectionIndex } from "../connections/connection-index.ts";
import { Subscriber } from "../connections/subscriber.ts";
import { ClientMessages } from "./client-messages.ts";
import { MemoryRoomStore } from "./memory/memory-room-store.ts";
import { ROOM_TIMES } from "./room-store.ts";
import { Rooms } from "./rooms.ts";
import { queuesOf } from "../connections/testing/queues-of.ts";

const connections = new ConnectionIndex();
const rooms = new Rooms({
  connections,
  createStore: (deliver) =>
    new MemoryRoomStore({ deliver, times: ROOM_TIMES, platform: systemPlatform }),
  rules: () => new RoomRules(null, true),
  rows: { follow: () => () => undefined, test: () => Promise.resolve(true) },
  platform: systemPlatform,
  onError: fail,
});
const messages = new ClientMessages(
  (message) => rooms.store.send(message),
  () => null,
  () => performance.now(),
  fail,
);

function fail(error: unknown): void {
  throw error;
}

interface RecordedConnection {
  readonly subscriber: Subscriber;
  readonly texts: string[];
}

/** A connection that records what it receives. */
function connect(caller: Partial<Identity["caller"]>): RecordedConnection {
  const texts: string[] = [];
  const outlet = {
    transport: "websocket" as const,
    write: (text: string) => {
      texts.push(text);
      return 0;
    },
    queued: () => 0,
    drained: () => Promise.resolve(),
    close: () => undefined,
    terminate: () => undefined,
    topics: null,
  };
  const subscriber = new Subscriber(
    { caller: { ...ANONYMOUS, ...caller }, sessionId: null, expiresAt: Infinity },
    outlet,
    queuesOf(1000),
    systemPlatform,
  );
  connections.add(subscriber);
  return { subscriber, texts };
}

test("clients' messages and a user's disconnect stay in their tenant", async () => {
  await rooms.start();
  const inA = connect({ userId: "a1", tenantId: "a" });
  const alsoInA = connect({ userId: "a2", tenantId: "a" });
  const others = [
    connect({ userId: "b1", tenantId: "b" }),
    connect({ userId: "n1" }),
    connect({}),
    connect({ isAdmin: true }),
  ];
  messages.receive(inA.subscriber, '{"type":"topic","topic":"t","data":1}');
  messages.receive(inA.subscriber, '{"type":"presence","event":"update","data":{"x":1}}');
  connections.delete(inA.subscriber);
  expect(alsoInA.texts).toEqual([
    '{"type":"topic","topic":"t","data":1,"from":"a1"}',
    '{"type":"presence","event":"update","data":{"x":1},"from":"a1"}',
    `{"type":"presence","event":"disconnect","clientId":${inA.subscriber.id},"from":"a1"}`,
  ]);
  for (const { texts } of others) expect(texts).toEqual([]);
  messages.receive(
    others[1]?.subscriber ?? inA.subscriber,
    '{"type":"topic","topic":"t","data":2}',
  );
  expect(alsoInA.texts).toHaveLength(3);
  expect(others.map(({ texts }) => texts.length)).toEqual([0, 1, 0, 1]);
  await rooms.stop();
});
