import { expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { malformed } from "./malformed.ts";

const schema = v.object({
  name: v.string(),
  tags: v.pipe(v.array(v.string()), v.maxLength(2)),
  kind: v.picklist(["insert", "update"]),
  list: v.array(v.object({ n: v.number() })),
});
const VALID = { name: "x", tags: [], kind: "insert", list: [{ n: 1 }] };

function messagesOf(value: unknown): string[] {
  const result = v.safeParse(schema, value);
  return result.success ? [] : result.issues.map((issue) => malformed(issue).message);
}

test("a message names the location, the expected type and the actual value", () => {
  expect(messagesOf(VALID)).toEqual([]);
  const cases: readonly [unknown, string][] = [
    [{ ...VALID, name: 7 }, '"name" must be text, but is 7'],
    [{ ...VALID, name: null }, '"name" must be text, but is null'],
    [{ ...VALID, kind: "upsert" }, '"kind" must be "insert" or "update", but is "upsert"'],
    [{ ...VALID, tags: ["a", "b", "c"] }, '"tags" has more than 2 entries'],
    [{ ...VALID, tags: {} }, '"tags" must be a list, but is an object'],
    [{ ...VALID, list: [{ n: 1 }, { n: "1" }] }, '"list[1].n" must be a number, but is "1"'],
    [{ ...VALID, list: [{}] }, '"list[0].n" is missing'],
    ["text", 'It must be an object, but is "text"'],
    [null, "It must be an object, but is null"],
  ];
  for (const [value, message] of cases) expect(messagesOf(value)).toEqual([message]);
});

test("a long value is not repeated, and every message is one short line", () => {
  fc.assert(
    fc.property(fc.anything(), fc.string({ minLength: 200 }), (value, long) => {
      for (const wrong of [value, { ...VALID, name: value }, { ...VALID, kind: long }])
        for (const message of messagesOf(wrong)) expect(message.length).toBeLessThan(160);
    }),
  );
});
