import { expect, test } from "bun:test";
import { QueryError } from "@pylonsync/query";
import { liveQuery, type IncludeOptions } from "./live-query.ts";
import { LocalStore } from "./local-store.ts";
import { ReplicaSchema } from "./replica-schema.ts";

const SCHEMA = ReplicaSchema.of({
  Message: { text: "string", authorId: "string", author: "one:User:authorId:id" },
  User: { name: "string" },
});

function storeWith(schema?: typeof SCHEMA): LocalStore {
  const store = new LocalStore();
  const rows = [
    { entity: "User", id: "u1", row: { id: "u1", name: "Ada" } },
    { entity: "Message", id: "m1", row: { id: "m1", text: "hello", authorId: "u1" } },
  ];
  store.restore(rows, 1, schema);
  return store;
}

test("rows are joined once there is a schema, and then with each change", () => {
  const store = storeWith();
  const list = liveQuery(store, "Message", { include: { author: true } });
  let changes = 0;
  const stop = list.subscribe(() => (changes += 1));
  expect([list.getSnapshot(), changes]).toEqual([[], 0]);
  store.describe(SCHEMA);
  const joined = list.getSnapshot();
  expect(joined).toMatchObject([{ id: "m1", author: { name: "Ada" } }]);
  expect(list.getSnapshot()).toBe(joined);
  const before = changes;
  expect(before).toBeGreaterThan(0);
  store.applyChanges([
    { seq: 2, entity: "User", row_id: "u1", kind: "update", data: { name: "Grace" } },
  ]);
  expect(changes).toBeGreaterThan(before);
  expect(list.getSnapshot()).toMatchObject([{ author: { name: "Grace" } }]);
  stop();
  const last = changes;
  store.applyChanges([{ seq: 3, entity: "Message", row_id: "m1", kind: "delete" }]);
  expect(changes).toBe(last);
  expect(list.getSnapshot()).toEqual([]);
});

test("a list that is created with a schema is joined immediately", () => {
  const list = liveQuery(storeWith(SCHEMA), "Message", { include: { author: true } });
  expect(list.getSnapshot()).toMatchObject([{ author: { id: "u1" } }]);
});

const nested = (levels: number): IncludeOptions => ({
  author: levels === 0 ? true : { include: nested(levels - 1) },
});
test.each<[string, IncludeOptions]>([
  ["a filter that is not valid", { author: { where: { name: undefined } } }],
  [
    "an inner order that is not valid",
    { author: { include: { a: { order: { x: "up" as "asc" } } } } },
  ],
  ["too many levels", nested(20)],
])("%s is rejected before there is a schema", (_what, include) => {
  expect(() => liveQuery(storeWith(), "Message", { include })).toThrow(QueryError);
});
