import { expect, test } from "bun:test";
import fc from "fast-check";
import { MemoryCache } from "./memory-cache.ts";

const key = fc.constantFrom("a", "b", "c", "d", "e");
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("get" as const), key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("set" as const),
      key,
      value: fc.jsonValue(),
      ttl: fc.integer({ min: 1, max: 50 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(30) }) },
);

test("contains the same as a list in the order of use, with at most three entries", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      let now = 0;
      const cache = new MemoryCache({ monotonic: () => now }, { maxEntries: 3 });
      let model: { key: string; text: string; until: number }[] = [];
      for (const one of steps) {
        if (one.do === "wait") now += one.ms;
        else if (one.do === "delete") {
          await cache.delete(one.key);
          model = model.filter((entry) => entry.key !== one.key);
        } else if (one.do === "set") {
          await cache.set(one.key, one.value, one.ttl);
          const text = JSON.stringify(one.value);
          model = model.filter((entry) => entry.key !== one.key);
          model = [...model, { key: one.key, text, until: now + one.ttl }].slice(-3);
        } else {
          const found = model.find((entry) => entry.key === one.key);
          model = model.filter((entry) => entry !== found);
          const isFresh = found !== undefined && found.until > now;
          if (isFresh) model.push(found);
          const value: unknown = await cache.get(one.key);
          if (isFresh) expect(JSON.stringify(value)).toBe(found.text);
          else expect(value).toBeUndefined();
        }
      }
    }),
  );
});

test("is bounded in size too, and subtracts what it evicts", async () => {
  const cache = new MemoryCache({ monotonic: () => 0 }, { maxChars: 100 });
  for (let n = 0; n < 50; n += 1) await cache.set(`k${n % 10}`, "x".repeat(30), 1000);
  const held = await Promise.all(Array.from({ length: 10 }, (_, n) => cache.get(`k${n}`)));
  expect(held.filter((value) => value !== undefined)).toHaveLength(2);
});
