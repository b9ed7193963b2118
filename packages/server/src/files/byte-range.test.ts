import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseRange } from "./byte-range.ts";

const size = fc.nat({ max: 50 });

test("a range is the requested bytes, as far as the file has them", () => {
  fc.assert(
    fc.property(size, fc.nat({ max: 60 }), fc.option(fc.nat({ max: 60 })), (bytes, first, last) => {
      const range = parseRange(`bytes=${first}-${last ?? ""}`, bytes);
      const all = Array.from({ length: bytes }, (_, at) => at);
      const asked = all.filter((at) => at >= first && (last === null || at <= last));
      if (last !== null && last < first) expect(range).toBeUndefined();
      else if (first >= bytes) expect(range).toBeNull();
      else expect(range).toEqual({ start: asked[0] ?? -1, end: asked.at(-1) ?? -1 });
    }),
  );
});

test("a range from the end is the last bytes, or all of them", () => {
  fc.assert(
    fc.property(size, fc.nat({ max: 60 }), (bytes, count) => {
      const range = parseRange(`bytes=-${count}`, bytes);
      if (count === 0 || bytes === 0) expect(range).toBeNull();
      else expect(range).toEqual({ start: Math.max(0, bytes - count), end: bytes - 1 });
    }),
  );
});

test("an invalid header is ignored", () => {
  for (const header of [null, "", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=1"])
    expect(parseRange(header, 10)).toBeUndefined();
  fc.assert(
    fc.property(fc.string(), (text) => {
      const range = parseRange(text, 10);
      if (range === undefined || range === null) return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.end).toBeLessThan(10);
      expect(range.start).toBeLessThanOrEqual(range.end);
    }),
  );
});

test("a number of any length is a position, and the unit is in any case", () => {
  const huge = "9".repeat(400);
  expect(parseRange(`bytes=${huge}-`, 10)).toBeNull();
  expect(parseRange(`bytes=${huge}-${huge}`, 10)).toBeNull();
  expect(parseRange(`bytes=2-${huge}`, 10)).toEqual({ start: 2, end: 9 });
  expect(parseRange(`bytes=-${huge}`, 10)).toEqual({ start: 0, end: 9 });
  expect(parseRange("Bytes=2-3", 10)).toEqual({ start: 2, end: 3 });
});
