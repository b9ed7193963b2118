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

test("readers wait for room while the queues of their network get shorter", async () => {
  const readers = new Readers();
  const slow = readers.open("a", "192.0.2.1");
  slow.queue(SHARE);
  expect(readers.queues.isFull("192.0.2.2")).toBe(false);
  let isThere = false;
  const room = readers.queues.room("192.0.2.1").then(() => void (isThere = true));
  readers.clock.advance(4_000);
  slow.queue(SHARE - 1);
  await turn();
  readers.clock.advance(4_000);
  await turn();
  expect(isThere).toBe(false);
  slow.queue(SHARE / 2);
  await room;
});

test("readers do not wait for a queue that is not read", async () => {
  const readers = new Readers();
  readers.open("a", "192.0.2.1").queue(SHARE);
  const room = readers.queues.room("192.0.2.1");
  readers.clock.advance(5_000);
  await room;
});
