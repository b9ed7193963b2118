import { expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { isChangeEvent } from "./change.ts";
import { ClientChangeSchema } from "./client-change.ts";
import { isReplicaSchema } from "./pull.ts";

const name = fc.oneof(fc.string(), fc.constantFrom("constructor", "prototype", "toString"));
const sent = <T>(value: T): unknown => JSON.parse(JSON.stringify(value));

test("a change keeps every field that it has, whatever the field is called", () => {
  fc.assert(
    fc.property(fc.dictionary(name, fc.jsonValue({ maxDepth: 1 })), (data) => {
      const change = { entity: "Todo", row_id: "1", kind: "insert", data };
      const event = { ...change, seq: 1, timestamp: "" };
      expect(JSON.stringify(v.parse(ClientChangeSchema, sent(change)).data)).toBe(
        JSON.stringify(data),
      );
      expect(isChangeEvent(sent(event))).toBe(true);
    }),
  );
});

test("the kinds of fields are understood, whatever entities and fields are called", () => {
  const kinds = fc.dictionary(name, fc.dictionary(name, fc.string()));
  fc.assert(
    fc.property(kinds, (schema) => {
      expect(isReplicaSchema(sent(schema))).toBe(true);
    }),
  );
  for (const wrong of [null, [], "a", { Todo: 1 }, { Todo: [] }, { Todo: { title: 1 } }])
    expect(isReplicaSchema(wrong)).toBe(false);
});

test("data that is not an object is refused in words", () => {
  for (const data of [null, [], "a", 1]) {
    const change = { entity: "Todo", row_id: "1", kind: "update", data };
    const { issues = [] } = v.safeParse(ClientChangeSchema, change);
    expect(issues.map(({ expected, path }) => [expected, path?.[0]?.key])).toEqual([
      ["Object", "data"],
    ]);
  }
});
