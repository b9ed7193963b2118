import { expect, test } from "bun:test";
import fc from "fast-check";
import { systemPlatform } from "../platform.ts";
import { RunChance } from "./run-chance.ts";

const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

/** Draws numbers and UUIDs as a handler might. */
function drawn(chance: RunChance, isNumber: readonly boolean[]): unknown[] {
  return isNumber.map((one) => (one ? chance.random() : chance.uuid()));
}

test("a seed gives the same values in the same order, another seed gives others", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
      (seed, other, draws) => {
        const values = drawn(new RunChance(seed, systemPlatform), draws);
        expect(drawn(new RunChance(seed, systemPlatform), draws)).toEqual(values);
        expect(new Set(values).size).toBe(draws.length);
        for (const value of values)
          if (typeof value === "number") expect(value >= 0 && value < 1).toBe(true);
          else expect(value).toMatch(UUID);
        if (seed !== other)
          expect(drawn(new RunChance(other, systemPlatform), draws)).not.toEqual(values);
      },
    ),
  );
});

test("without a seed nothing repeats, and the numbers are distributed evenly", () => {
  const make = (): RunChance => new RunChance(undefined, systemPlatform);
  expect(make().uuid()).not.toBe(make().uuid());
  const chance = make();
  const counts = Array.from({ length: 10 }, () => 0);
  for (let draw = 0; draw < 10_000; draw += 1) {
    const tenth = Math.floor(chance.random() * 10);
    counts[tenth] = (counts[tenth] ?? 0) + 1;
  }
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(200);
});
