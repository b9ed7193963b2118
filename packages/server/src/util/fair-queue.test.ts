import { expect, test } from "bun:test";
import { FairQueue } from "./fair-queue.ts";

function queueOf(...items: readonly string[]): FairQueue<string> {
  const queue = new FairQueue<string>();
  for (const item of items) queue.add(item.charAt(0), item);
  return queue;
}

function drain(
  queue: FairQueue<string>,
  mayGo: (caller: string) => boolean = () => true,
): string[] {
  const taken: string[] = [];
  for (;;) {
    const item = queue.take(mayGo);
    if (item === undefined) return taken;
    taken.push(item);
  }
}

test("callers take turns, and a caller's items keep their order", () => {
  expect(drain(queueOf("a1", "a2", "a3", "b1", "c1", "b2"))).toEqual([
    "a1",
    "b1",
    "c1",
    "a2",
    "b2",
    "a3",
  ]);
});

test("a caller that may not be served is skipped and keeps its turn", () => {
  const queue = queueOf("a1", "a2", "b1");
  expect(drain(queue, (caller) => caller !== "a")).toEqual(["b1"]);
  expect(queue.size).toBe(2);
  expect(drain(queue)).toEqual(["a1", "a2"]);
});

test("an item that is removed before its turn is not returned again", () => {
  const queue = queueOf("a1", "a2", "b1");
  expect([queue.remove("a", "a2"), queue.remove("a", "a2"), queue.remove("b", "b1")]).toEqual([
    true,
    false,
    true,
  ]);
  expect([queue.size, queue.sizeOf("a"), queue.sizeOf("b")]).toEqual([1, 1, 0]);
  expect(drain(queue)).toEqual(["a1"]);
});

test("an item that is added first comes before the others of its caller", () => {
  const queue = queueOf("a1", "b1");
  queue.addFirst("a", "a0");
  queue.addFirst("c", "c0");
  expect([queue.size, queue.callers]).toEqual([4, 3]);
  expect(drain(queue)).toEqual(["a0", "b1", "c0", "a1"]);
  expect(queue.callers).toBe(0);
});
