import { QUEUE_SHARE } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { ManualPlatform, turn } from "../testing/manual-platform.ts";
import { SendQueues, type QueuedReader } from "./send-queues.ts";

const TOTAL = 400;
const SHARE = TOTAL / QUEUE_SHARE;

/** Readers with queues, and which of them were dropped. */
class Readers {
  readonly clock = new ManualPlatform();
  readonly queues = new SendQueues({ perReader: 1000, total: TOTAL }, this.clock);
  readonly dropped: string[] = [];

  open(name: string, address: string): { readonly queue: (bytes: number) => void } {
    let queued = 0;
    const reader: QueuedReader = {
      address,
      queued: () => queued,
      drop: () => {
        queued = 0;
        this.dropped.push(name);
      },
    };
    return {
      queue: (bytes) => {
        queued = bytes;
        this.queues.set(reader, bytes);
      },
    };
  }
}

test("the longest queue of a network that has too much is dropped", () => {
  const readers = new Readers();
  const [a, b, c] = ["a", "b", "c"].map((name) => readers.open(name, "192.0.2.1"));
  a?.queue(SHARE / 2);
  b?.queue(SHARE / 4);
  c?.queue(SHARE / 4);
  expect(readers.dropped).toEqual([]);
  c?.queue(SHARE / 2);
  expect(readers.dropped).toEqual(["a"]);
  expect(readers.queues.total).toBe((SHARE * 3) / 4);
});

test("a reader that has read some of its queue is not dropped for what it had", () => {
  const readers = new Readers();
  let left = SHARE;
  const drop = (): void => void readers.dropped.push("a");
  readers.queues.set({ address: "192.0.2.1", queued: () => left, drop }, left);
  left = 0;
  readers.open("b", "192.0.2.1").queue(SHARE);
  expect(readers.dropped).toEqual([]);
});

test("a reader that is alone in its network may have more than a share", () => {
  const readers = new Readers();
  readers.open("a", "192.0.2.1").queue(SHARE * 2);
  expect(readers.dropped).toEqual([]);
});

test("addresses of an IPv6 network share, and all networks have a maximum together", () => {
  const readers = new Readers();
  readers.open("a", "2001:db8::1").queue(SHARE);
  readers.open("b", "2001:db8::2").queue(SHARE / 2);
  expect(readers.dropped).toEqual(["a"]);
  for (const name of ["c", "d", "e"]) readers.open(name, `2001:db8:${name}::1`).queue(SHARE);
  expect(readers.dropped).toEqual(["a"]);
  readers.open("f", "2001:db8:f::1").queue(SHARE);
  expect(readers.dropped).toHaveLength(2);
  expect(readers.queues.total).toBeLessThanOrEqual(TOTAL);
});

test("readers wait for room until those of their network have read enough", async () => {
  const readers = new Readers();
  const slow = readers.open("a", "192.0.2.1");
  slow.queue(SHARE);
  expect(readers.queues.isFull("192.0.2.2")).toBe(false);
  let isThere = false;
  const room = readers.queues.room("192.0.2.1").then(() => void (isThere = true));
  slow.queue(SHARE - 1);
  await turn();
  expect(isThere).toBe(false);
  slow.queue(SHARE / 2);
  await room;
  readers.clock.advance(15_000);
  expect([readers.clock.timers, readers.dropped]).toEqual([0, []]);
});

test("a reader that reads nothing while others wait is dropped; a slow one is not", async () => {
  const readers = new Readers();
  const slow = readers.open("slow", "192.0.2.1");
  readers.open("stalled", "192.0.2.1").queue(SHARE / 4);
  slow.queue((SHARE * 3) / 4);
  const room = readers.queues.room("192.0.2.1");
  slow.queue((SHARE * 5) / 8);
  await turn();
  readers.clock.advance(14_000);
  expect(readers.dropped).toEqual([]);
  readers.clock.advance(1_000);
  expect(readers.dropped).toEqual(["stalled"]);
  // Nobody waits for the slow one for ever.
  slow.queue((SHARE * 17) / 32);
  await turn();
  readers.clock.advance(15_000);
  await room;
  expect(readers.dropped).toEqual(["stalled"]);
  slow.queue(0);
  expect(readers.clock.timers).toBe(0);
});
