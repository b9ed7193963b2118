import { expect, test } from "bun:test";
import { ANONYMOUS_IDENTITY } from "../identity/identity.ts";
import { systemPlatform } from "../platform.ts";
import { Outbox } from "./outbox.ts";
import type { Subscriber } from "./subscriber.ts";
import { TopicPublisher } from "./topic-publisher.ts";
import { queuesOf } from "./testing/queues-of.ts";
import { SyncSocket, type ServerSocket } from "./websocket.ts";

/** A socket of the runtime that records its writes, each with its messages. */
class RecordedSocket implements ServerSocket {
  readonly writes: string[][] = [];
  /** What the runtime answers to messages. */
  status = 1;
  buffered = 0;
  isClosed = false;
  #corked: string[] | null = null;

  sendText(text: string): number {
    if (this.#corked === null) this.writes.push([text]);
    else this.#corked.push(text);
    return this.status;
  }

  cork(send: () => void): void {
    this.#corked = [];
    send();
    this.writes.push(this.#corked);
    this.#corked = null;
  }

  sendBinary(): number {
    return this.status;
  }

  getBufferedAmount(): number {
    return this.buffered;
  }

  close(): void {
    this.isClosed = true;
  }

  terminate(): void {
    this.close();
  }

  subscribe(): void {}
  unsubscribe(): void {}
}

async function opened(socket: ServerSocket): Promise<Subscriber> {
  const joined: Subscriber[] = [];
  const hub = {
    join: async (one: Subscriber) => void joined.push(one),
    leave: () => undefined,
  };
  const publisher = new TopicPublisher(() => undefined, systemPlatform.soon);
  const start = { identity: ANONYMOUS_IDENTITY, cursor: null, version: 1 } as const;
  await new SyncSocket(start, "", publisher, systemPlatform).opened(socket, hub, queuesOf(1000));
  const [subscriber] = joined;
  if (subscriber === undefined) throw new Error("The socket has not joined.");
  return subscriber;
}

function deliver(subscriber: Subscriber, ...texts: string[]): void {
  const outbox = new Outbox();
  for (const text of texts) outbox.send(subscriber, text);
  outbox.flush();
}

test("the messages of a delivery share a write", async () => {
  const socket = new RecordedSocket();
  const subscriber = await opened(socket);
  deliver(subscriber, "one", "two", "three");
  deliver(subscriber, "four");
  subscriber.send("five");
  expect(socket.writes).toEqual([["one", "two", "three"], ["four"], ["five"]]);
});

test("what the write could not send counts against the limit of the queue", async () => {
  const socket = new RecordedSocket();
  const subscriber = await opened(socket);
  socket.buffered = 900;
  deliver(subscriber, "one", "two");
  expect(subscriber.isOpen).toBe(true);
  socket.buffered = 1100;
  deliver(subscriber, "three", "four");
  expect(subscriber.isOpen).toBe(false);
});

test("after a message that the runtime drops, none is sent", async () => {
  const socket = new RecordedSocket();
  const subscriber = await opened(socket);
  socket.status = 0;
  deliver(subscriber, "one", "two");
  expect(socket.writes).toEqual([["one"]]);
  expect(subscriber.isOpen).toBe(false);
});
