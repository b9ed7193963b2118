import { MAX_RESULT_BYTES } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { ANONYMOUS_IDENTITY } from "../identity/identity.ts";
import { systemPlatform } from "../platform.ts";
import { Subscriber } from "./subscriber.ts";
import { queuesOf } from "./testing/queues-of.ts";

const LIMIT = 1000;

/** A reader that reads nothing until `read` is called. */
class SlowReader {
  readonly subscriber: Subscriber;
  isCutOff = false;
  #waiting = 0;
  #readers: (() => void)[] = [];

  constructor() {
    this.subscriber = new Subscriber(
      ANONYMOUS_IDENTITY,
      {
        transport: "websocket",
        topics: null,
        write: (text) => (this.#waiting += text.length),
        queued: () => this.#waiting,
        drained: () => new Promise((resolve) => this.#readers.push(resolve)),
        close: () => void (this.isCutOff = true),
        terminate: () => undefined,
      },
      queuesOf(LIMIT),
      systemPlatform,
    );
  }

  async read(): Promise<void> {
    this.#waiting = 0;
    for (const resolve of this.#readers.splice(0)) resolve();
    await Promise.resolve();
  }
}

const text = (bytes: number): string => "x".repeat(bytes);

test("a slow reader is sent all rows that it requested, and what follows", async () => {
  const reader = new SlowReader();
  const { subscriber } = reader;
  subscriber.sendRequested(text(MAX_RESULT_BYTES + LIMIT));
  subscriber.send(text(LIMIT / 2));
  expect(subscriber.isOpen).toBe(true);
  await reader.read();
  expect(subscriber.isOpen).toBe(true);
  // Once it has read them, its queue has the usual limit again.
  subscriber.send(text(LIMIT));
  subscriber.send(text(1));
  expect(subscriber.isOpen).toBe(false);
  await reader.read();
  expect(reader.isCutOff).toBe(true);
});

test("requested rows that are not read add up to a maximum", () => {
  const { subscriber } = new SlowReader();
  for (let part = 0; part < 4; part += 1) {
    subscriber.sendRequested(text(MAX_RESULT_BYTES / 4));
    expect(subscriber.isOpen).toBe(true);
  }
  subscriber.sendRequested(text(MAX_RESULT_BYTES / 4));
  expect(subscriber.isOpen).toBe(false);
});

test("a message that is larger than the limit of the queue is sent to a slow reader", async () => {
  const reader = new SlowReader();
  const { subscriber } = reader;
  subscriber.send(text(LIMIT * 3));
  subscriber.send(text(LIMIT / 2));
  expect(subscriber.isOpen).toBe(true);
  await reader.read();
  subscriber.send(text(LIMIT));
  subscriber.send(text(1));
  expect(subscriber.isOpen).toBe(false);
});
