import { expect, test } from "bun:test";
import fc from "fast-check";
import { nearest } from "./nearest.ts";

/**
 * The definition, without a table: letters added, removed, replaced or swapped with a neighbour.
 */
function distance(a: string, b: string): number {
  if (a === "" || b === "") return a.length + b.length;
  const isSwapped = a.length > 1 && b.length > 1 && a[0] === b[1] && a[1] === b[0];
  return Math.min(
    distance(a.slice(1), b) + 1,
    distance(a, b.slice(1)) + 1,
    distance(a.slice(1), b.slice(1)) + (a[0] === b[0] ? 0 : 1),
    isSwapped ? distance(a.slice(2), b.slice(2)) + 1 : Infinity,
  );
}

const name = fc.string({ unit: fc.constantFrom("a", "b", "c", "A"), maxLength: 6 });

test("it is the first of the closest names, if at most a third of the letters differ", () => {
  fc.assert(
    fc.property(name, fc.array(name, { maxLength: 3 }), (given, known) => {
      const far = known.map((one) => distance(given.toLowerCase(), one.toLowerCase()));
      const least = Math.min(...far);
      const isClose = least <= Math.max(1, Math.floor(given.length / 3));
      expect(nearest(given, known)).toBe(isClose ? known[far.indexOf(least)] : undefined);
    }),
  );
});
