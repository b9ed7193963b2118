import { expect, test } from "bun:test";
import { samplerOf } from "./sampler.ts";

const sampled = { traceId: "a".repeat(32), spanId: "b".repeat(16), isSampled: true };
const passedOver = { ...sampled, isSampled: false };

function ids(count: number): string[] {
  return Array.from({ length: count }, () => crypto.randomUUID().replaceAll("-", ""));
}

test("a ratio selects about its share, always the same one, and all of a smaller one", () => {
  const tenth = samplerOf("traceidratio", 0.1, Date.now);
  const half = samplerOf("traceidratio", 0.5, Date.now);
  const all = ids(5000);
  const taken = all.filter((id) => tenth.takes(id, null));
  expect(taken.length).toBeGreaterThan(350);
  expect(taken.length).toBeLessThan(650);
  expect(taken.every((id) => tenth.takes(id, sampled) && half.takes(id, null))).toBe(true);
});

test("samplers by parent follow the caller's decision", () => {
  const id = "c".repeat(32);
  expect(samplerOf("parentbased_always_off", undefined, Date.now).takes(id, sampled)).toBe(true);
  expect(samplerOf("parentbased_always_on", undefined, Date.now).takes(id, passedOver)).toBe(false);
  expect(samplerOf("parentbased_traceidratio", 0, Date.now).takes(id, sampled)).toBe(true);
  expect(samplerOf("always_on", undefined, Date.now).takes(id, passedOver)).toBe(true);
});

test("a rate selects a number per second, for any parent, and again in the next", () => {
  let now = 5_000;
  const sampler = samplerOf("parentbased_ratelimited", 3, () => now);
  const take = (): number =>
    [...ids(5).map((id) => sampler.takes(id, null)), sampler.takes("d".repeat(32), sampled)].filter(
      Boolean,
    ).length;
  expect(sampler.takes("d".repeat(32), passedOver)).toBe(false);
  expect(sampler.isSpent()).toBe(false);
  expect(take()).toBe(3);
  expect(sampler.isSpent()).toBe(true);
  expect(take()).toBe(0);
  now += 1000;
  expect(take()).toBe(3);
});
