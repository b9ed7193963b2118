import { expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { ChangeEventSchema, ClientChangeSchema } from "./change.ts";
import { ReplicaSchemaSchema } from "./pull.ts";

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
      expect(JSON.stringify(v.parse(ChangeEventSchema, sent(event)).data)).toBe(
        JSON.stringify(data),
      );
    }),
  );
});

test("the kinds of fields are kept, whatever entities and fields are called", () => {
  const kinds = fc.dictionary(name, fc.dictionary(name, fc.string()));
  fc.assert(
    fc.property(kinds, (schema) => {
      expect(JSON.stringify(v.parse(ReplicaSchemaSchema, sent(schema)))).toBe(
        JSON.stringify(schema),
      );
    }),
  );
  for (const wrong of [null, [], "a", { Todo: 1 }, { Todo: [] }, { Todo: { title: 1 } }])
    expect(v.is(ReplicaSchemaSchema, wrong)).toBe(false);
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
