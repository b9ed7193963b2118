import { expect, test } from "bun:test";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { ExportQueue } from "./export-queue.ts";

interface Opened {
  readonly platform: ManualPlatform;
  readonly queue: ExportQueue<number>;
  readonly batches: number[][];
  readonly failures: unknown[];
}

function open(send: (batch: number[]) => Promise<void> = () => Promise.resolve()): Opened {
  const platform = new ManualPlatform(0);
  const [batches, failures]: [number[][], unknown[]] = [[], []];
  const queue = new ExportQueue<number>({
    send: (batch) => {
      batches.push(batch);
      return send(batch);
    },
    delayMs: 100,
    onFailure: (error) => failures.push(error),
    platform,
  });
  return { platform, queue, batches, failures };
}

/** Lets pending promises settle. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const add = (queue: ExportQueue<number>, count: number): void => {
  for (let n = 0; n < count; n += 1) queue.add(n);
};

test("waiting items are sent together after the delay", async () => {
  const { platform, queue, batches } = open();
  add(queue, 3);
  platform.advance(99);
  expect(batches).toEqual([]);
  platform.advance(1);
  await settle();
  expect(batches).toEqual([[0, 1, 2]]);
  expect([queue.sent, queue.dropped, platform.timers]).toEqual([3, 0, 0]);
});

test("a full batch is sent immediately, and the next one after it", async () => {
  const { platform, queue, batches } = open();
  add(queue, 512 + 1);
  await settle();
  expect(batches.map(({ length }) => length)).toEqual([512]);
  platform.advance(100);
  await settle();
  expect(batches.map(({ length }) => length)).toEqual([512, 1]);
});

test("items without room are dropped, and so are those that could not be sent", async () => {
  const { promise, reject } = Promise.withResolvers<void>();
  const { queue, failures } = open(() => promise);
  add(queue, 512 + 4096 + 7);
  expect([queue.isFull, queue.dropped]).toEqual([true, 7]);
  reject(new Error("gone"));
  await settle();
  expect(queue.dropped).toBe(7 + 512 + 4096);
  expect(failures).toHaveLength(9);
  expect(queue.isFull).toBe(false);
});

test("when closed, it sends waiting items, accepts no more, and does not wait long", async () => {
  const { queue, batches } = open();
  add(queue, 600);
  await queue.close(1_000);
  queue.add(1);
  expect(batches.flat()).toHaveLength(600);
  expect(queue.dropped).toBe(1);

  const never = open(() => new Promise(() => undefined));
  never.queue.add(1);
  const closed = never.queue.close(1_000);
  never.platform.advance(1_000);
  await closed;
  expect(never.queue.sent).toBe(0);
});
