import { expect, test } from "bun:test";
import { ViewChannel } from "./view-channel.ts";

test("is encoded in the form that says it best, and whole when asked", () => {
  const channel = new ViewChannel();
  expect([channel.isShown, channel.version]).toEqual([false, 0]);
  channel.show({ x: 1 });
  expect([channel.version, channel.whole, channel.frames]).toEqual([1, '{"x":1}', null]);
  channel.show({ x: 1 });
  expect(channel.version).toBe(1);
  channel.show({ x: 2 });
  expect([channel.version, channel.whole, channel.delta]).toEqual([2, '{"x":2}', null]);
  expect([...(channel.frames?.frame(4, 3, null) ?? [])]).toEqual([1, 4, 1, 0, 0, 2]);
  channel.show({ x: 2, y: 1 });
  expect([channel.delta, channel.frames]).toEqual(['{"s":{"y":[1]}}', null]);
});

test("after a view that failed nothing is shown, and the next one is whole", () => {
  const channel = new ViewChannel();
  channel.show({ x: 1, y: 1 });
  expect(() => channel.show({ x: 2, y: 1n })).toThrow("BigInt");
  expect([channel.isShown, channel.version]).toEqual([false, 1]);
  channel.show({ x: 3, y: 1 });
  expect([channel.isShown, channel.version, channel.delta]).toEqual([true, 2, '[{"x":3,"y":1}]']);
});

test("one that is too large is refused", () => {
  const channel = new ViewChannel();
  expect(() => channel.show({ text: "x".repeat(1_100_000) })).toThrow(RangeError);
  expect(channel.isShown).toBe(false);
});
