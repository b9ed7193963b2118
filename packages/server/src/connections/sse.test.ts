import { expect, test } from "bun:test";
import fc from "fast-check";
import { ANONYMOUS_IDENTITY } from "../identity/identity.ts";
import { systemPlatform } from "../platform.ts";
import { CloseCode } from "@pylonsync/protocol";
import { BroadcastGroup } from "./broadcast-group.ts";
import { openEventStream, StreamTurns } from "./sse.ts";
import type { Subscriber } from "./subscriber.ts";
import { queuesOf } from "./testing/queues-of.ts";

interface OpenStream {
  readonly subscriber: Subscriber;
  /** Answers the next piece of the stream; null at its end. */
  readonly next: () => Promise<string | null>;
}

/** Streams whose turns of the event loop end when the test says so. */
class Streams {
  readonly #works: (() => void)[] = [];
  readonly #platform = {
    ...systemPlatform,
    soon: (work: () => void): void => void this.#works.push(work),
  };
  readonly #turns = new StreamTurns(this.#platform);

  async open(sendBufferBytes = 1_000_000): Promise<OpenStream> {
    const joined: Subscriber[] = [];
    const response = openEventStream(
      { identity: ANONYMOUS_IDENTITY, address: "", cursor: null },
      {
        join: (subscriber) => Promise.resolve(void joined.push(subscriber)),
        leave: () => undefined,
      },
      {
        queues: queuesOf(sendBufferBytes),
        pingMs: 60_000,
        onEnd: () => undefined,
        platform: this.#platform,
        turns: this.#turns,
      },
    );
    const [subscriber] = joined;
    const { body } = response;
    if (subscriber === undefined || body === null) throw new Error("The stream did not open.");
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    const next = async (): Promise<string | null> => (await reader.read()).value ?? null;
    await next();
    await next();
    return { subscriber, next };
  }

  endTurn(): void {
    for (const work of this.#works.splice(0)) work();
  }
}

test("texts of one turn arrive in order, as one piece, at each of their streams", async () => {
  const streams = new Streams();
  const [ann, ben] = [await streams.open(), await streams.open()];
  for (const text of ["1", "2"]) {
    ann.subscriber.send(text);
    ben.subscriber.send(text);
  }
  ben.subscriber.send("only for ben");
  streams.endTurn();
  expect(await ann.next()).toBe("data: 1\n\ndata: 2\n\n");
  expect(await ben.next()).toBe("data: 1\n\ndata: 2\n\ndata: only for ben\n\n");
  ann.subscriber.send("3");
  streams.endTurn();
  expect(await ann.next()).toBe("data: 3\n\n");
});

test("streams are told their own texts, however alike those are in number and length", async () => {
  const streams = new Streams();
  const [ann, ben] = [await streams.open(), await streams.open()];
  ann.subscriber.send("of ann");
  ben.subscriber.send("of ben");
  streams.endTurn();
  expect([await ann.next(), await ben.next()]).toEqual(["data: of ann\n\n", "data: of ben\n\n"]);
});

test("a stream that is closed within the turn has said everything before", async () => {
  const streams = new Streams();
  const { subscriber, next } = await streams.open();
  subscriber.send("last");
  subscriber.close(CloseCode.GOING_AWAY, "the server is stopping");
  streams.endTurn();
  expect(await next()).toBe("data: last\n\n");
  expect(await next()).toBeNull();
});

test("what a turn gathers counts as waiting: a reader is cut off beyond its limit", async () => {
  const streams = new Streams();
  const { subscriber } = await streams.open(10);
  subscriber.send("12345");
  expect(subscriber.isOpen).toBe(true);
  subscriber.send("1234567");
  expect(subscriber.isOpen).toBe(false);
});

test("a stream has drained only once the turn's texts have been read", async () => {
  const streams = new Streams();
  const { subscriber, next } = await streams.open();
  subscriber.send("x".repeat(100_000));
  const order: string[] = [];
  const drained = subscriber.drained().then(() => order.push("drained"));
  streams.endTurn();
  order.push("sent");
  await next();
  await drained;
  expect(order).toEqual(["sent", "drained"]);
});

const STREAMS = 20;
const step = fc.oneof(
  fc.record({ kind: fc.constant("publish" as const), group: fc.nat(1) }),
  fc.record({ kind: fc.constant("send" as const), stream: fc.nat(STREAMS - 1) }),
  fc.record({
    kind: fc.constantFrom("join" as const, "leave" as const),
    group: fc.nat(1),
    stream: fc.nat(STREAMS - 1),
  }),
  fc.record({ kind: fc.constant("turn" as const) }),
);

test("each stream is told in order what goes to it, and to the groups that it is in", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const streams = new Streams();
      const open = await Promise.all(Array.from({ length: STREAMS }, () => streams.open()));
      const groups = [new BroadcastGroup(), new BroadcastGroup()];
      const expected = open.map((): string[] => []);
      for (const group of groups) for (const { subscriber } of open) group.add(subscriber);
      for (const [index, one] of steps.entries()) {
        const text = `${index}`;
        if (one.kind === "turn") streams.endTurn();
        else if (one.kind === "publish") {
          groups[one.group]?.send(text);
          for (const [at, { subscriber }] of open.entries())
            if (groups[one.group]?.has(subscriber) === true) expected[at]?.push(text);
        } else {
          const stream = open[one.stream];
          if (stream === undefined) continue;
          if (one.kind === "join") groups[one.group]?.add(stream.subscriber);
          else if (one.kind === "leave") groups[one.group]?.delete(stream.subscriber);
          else {
            stream.subscriber.send(text);
            expected[one.stream]?.push(text);
          }
        }
      }
      for (const { subscriber } of open) subscriber.close(CloseCode.GOING_AWAY, "the end");
      const heard = await Promise.all(open.map(({ next }) => untilEnd(next)));
      expect(heard).toEqual(
        expected.map((texts) => texts.map((text) => `data: ${text}\n\n`).join("")),
      );
    }),
    { numRuns: 60 },
  );
});

test("what goes to many streams in one turn is handed to each once", async () => {
  const streams = new Streams();
  const open = await Promise.all(Array.from({ length: STREAMS }, () => streams.open()));
  const group = new BroadcastGroup();
  for (const { subscriber } of open) group.add(subscriber);
  for (let index = 0; index < 30; index += 1) group.send(`${index}`);
  streams.endTurn();
  const all = Array.from({ length: 30 }, (_, index) => `data: ${index}\n\n`).join("");
  for (const { next } of open) expect(await next()).toBe(all);
});

test("of a group a reader is cut off that lets too much wait", async () => {
  const streams = new Streams();
  const open = await Promise.all(Array.from({ length: STREAMS }, () => streams.open(100_000)));
  const group = new BroadcastGroup();
  for (const { subscriber } of open) group.add(subscriber);
  const [slow, ...others] = open;
  for (let index = 0; index < 20; index += 1) {
    group.send("x".repeat(10_000));
    streams.endTurn();
    for (const { next } of others) await next();
  }
  expect(slow?.subscriber.isOpen).toBe(false);
  expect(others.every(({ subscriber }) => subscriber.isOpen)).toBe(true);
});

async function untilEnd(next: () => Promise<string | null>): Promise<string> {
  let all = "";
  for (let piece = await next(); piece !== null; piece = await next()) all += piece;
  return all;
}

test("a stream that is dropped ends without what is queued", async () => {
  const streams = new Streams();
  const { subscriber, next } = await streams.open();
  subscriber.send("x".repeat(100_000));
  streams.endTurn();
  subscriber.send("last");
  expect(subscriber.queued()).toBeGreaterThan(100_000);
  subscriber.drop();
  expect([subscriber.queued(), subscriber.isOpen, subscriber.takeEnding()]).toEqual([
    0,
    false,
    "slow",
  ]);
  streams.endTurn();
  await expect(next()).rejects.toThrow("The client reads too slowly.");
});
