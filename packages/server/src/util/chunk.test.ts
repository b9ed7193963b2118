import { expect, test } from "bun:test";
import fc from "fast-check";
import { chunk } from "./chunk.ts";

test("chunks contain all items in order, each full but the last, which is not empty", () => {
  fc.assert(
    fc.property(fc.array(fc.nat()), fc.integer({ min: 1, max: 9 }), (items, size) => {
      const chunks = chunk(items, size);
      expect(chunks.flat()).toEqual(items);
      expect(chunks.slice(0, -1).every((part) => part.length === size)).toBe(true);
      const last = chunks.at(-1);
      expect(last === undefined || (last.length > 0 && last.length <= size)).toBe(true);
    }),
  );
});
