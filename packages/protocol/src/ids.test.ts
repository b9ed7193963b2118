import { expect, test } from "bun:test";
import fc from "fast-check";
import { createIdFactory, isRowId } from "./ids.ts";

test("ids are row ids, differ, and sort by when they were made, whatever the clock does", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2 ** 41), { maxLength: 150 }), fc.nat(255), (times, byte) => {
      let now = 0;
      const newId = createIdFactory(
        () => now,
        (bytes) => bytes.fill(byte),
      );
      const ids = times.map((time) => {
        now = time;
        return newId();
      });
      expect(ids.every(isRowId)).toBe(true);
      expect(ids.every((id) => /^[0-9a-f]{40}$/.test(id))).toBe(true);
      expect(ids).toEqual(ids.toSorted());
      expect(new Set(ids).size).toBe(ids.length);
      const highest = times.map((_, index) => Math.max(...times.slice(0, index + 1)));
      expect(ids.map((id) => Number.parseInt(id.slice(0, 12), 16))).toEqual(highest);
    }),
  );
});

test("two machines at the same time make different ids, and no randomness is used twice", () => {
  let filled = 0;
  const random = (bytes: Uint8Array): void => {
    for (let index = 0; index < bytes.length; index += 4) {
      filled += 1;
      new DataView(bytes.buffer).setUint32(index, filled);
    }
  };
  const [one, other] = [createIdFactory(() => 5, random), createIdFactory(() => 5, random)];
  const tails = Array.from({ length: 500 }, () => [one().slice(20), other().slice(20)]).flat();
  expect(new Set(tails).size).toBe(tails.length);
});

test("a row id is 1 to 64 letters, digits, _ and -", () => {
  for (const [value, isId] of [
    ["a", true],
    ["A-b_9", true],
    ["a".repeat(64), true],
    ["a".repeat(65), false],
    ["", false],
    ["a\n", false],
    ["é", false],
    ["a.b", false],
    [1, false],
    [null, false],
    [["a"], false],
  ] as const)
    expect([value, isRowId(value)]).toEqual([value, isId]);
});
