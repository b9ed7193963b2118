import { expect, test } from "bun:test";
import type { Entity, Field } from "../model.ts";
import { NO_EDITS, saveOperation, shownText, withEdit, withoutEdit, type Edits } from "./edits.ts";

const field = (name: string, type: Field["type"], more: Partial<Field> = {}): Field => ({
  name,
  type,
  optional: true,
  unique: false,
  ...more,
});
const Item: Entity = {
  name: "Item",
  fields: [
    field("title", "string"),
    field("stock", "int"),
    field("price", "decimal"),
    field("data", "json"),
    field("secret", "encrypted"),
    field("pin", "string", { hidden: true }),
    field("constructor", "string"),
    field("toString", "string"),
  ],
  indexes: [],
  relations: [],
};
/** As the server returns it: without hidden fields. */
const ROW = { id: "i1", title: "Lamp", stock: 2, price: "1.10", data: { a: 1 }, secret: "s" };

function edited(
  row: Readonly<Record<string, unknown>> | null,
  ...steps: [string, string | null][]
) {
  return steps.reduce<Edits>((edits, [name, text]) => withEdit(edits, row, name, text), NO_EDITS);
}

test("an update has the changed fields only, and the values that they had", () => {
  const edits = edited(ROW, ["title", "Desk"], ["stock", "3"], ["price", "1.20"]);
  expect(saveOperation(Item, ROW, edits)).toEqual({
    op: "update",
    entity: "Item",
    id: "i1",
    data: { title: "Desk", stock: 3, price: "1.20" },
    ifUnchanged: { title: "Lamp", stock: 2, price: "1.10" },
  });
});

test("an insert has what was entered; the server sets the rest", () => {
  expect(saveOperation(Item, null, edited(null, ["title", "Desk"]))).toEqual({
    op: "insert",
    entity: "Item",
    data: { title: "Desk" },
  });
});

test("null and an empty text are different values", () => {
  const cleared = edited(ROW, ["title", ""], ["stock", null]);
  expect(saveOperation(Item, ROW, cleared).data).toEqual({ title: "", stock: null });
  expect(saveOperation(Item, ROW, edited(ROW, ["title", null])).data).toEqual({ title: null });
  const empty = { ...ROW, title: "" };
  expect(edited(empty, ["title", ""]).size).toBe(0);
  expect(edited(empty, ["title", null]).size).toBe(1);
  expect(edited({ ...ROW, title: null }, ["title", ""]).size).toBe(1);
});

test("a field that is as in the row again is not changed", () => {
  const edits = edited(ROW, ["title", "Desk"], ["stock", "3"], ["title", "Lamp"]);
  expect([...edits.keys()]).toEqual(["stock"]);
  expect([...withoutEdit(edits, "stock").keys()]).toEqual([]);
});

test("the expected value is that of the first change, not that of a later row", () => {
  const first = edited(ROW, ["title", "Mine"]);
  const second = withEdit(first, { ...ROW, title: "Theirs" }, "title", "Mine too");
  expect(saveOperation(Item, ROW, second)).toMatchObject({
    data: { title: "Mine too" },
    ifUnchanged: { title: "Lamp" },
  });
});

test("fields that the server can't compare are written without an expected value", () => {
  const edits = edited(ROW, ["data", '{"a": 2}'], ["secret", "t"], ["pin", "1234"]);
  expect(saveOperation(Item, ROW, edits)).toMatchObject({
    data: { data: { a: 2 }, secret: "t", pin: "1234" },
  });
  expect(saveOperation(Item, ROW, edits)).not.toHaveProperty("ifUnchanged");
});

test.each([
  ["data", '{"a": 2}', { a: 3 }],
  ["secret", "mine", "theirs"],
])(
  "%s, which the server can't compare, is not written over another change",
  (name, text, value) => {
    const edits = edited(ROW, [name, text]);
    expect(() => saveOperation(Item, { ...ROW, [name]: value }, edits)).toThrow(
      `${name}: somebody else has changed it.`,
    );
  },
);

test("a hidden value can be set to null, although the row does not show it", () => {
  expect(shownText(NO_EDITS, ROW, "pin")).toBeNull();
  expect(saveOperation(Item, ROW, edited(ROW, ["pin", null])).data).toEqual({ pin: null });
});

test("a field may have the name of a property that every object has", () => {
  expect(shownText(NO_EDITS, ROW, "constructor")).toBeNull();
  expect(shownText(NO_EDITS, null, "toString")).toBeNull();
  const edits = edited(null, ["toString", "x"]);
  expect([edits.has("constructor"), shownText(edits, null, "toString")]).toEqual([false, "x"]);
  const { data } = saveOperation(Item, null, withEdit(edits, null, "constructor", "y"));
  expect(Object.entries(data)).toEqual([
    ["constructor", "y"],
    ["toString", "x"],
  ]);
});

test("what can't be read is reported with its field", () => {
  expect(() => saveOperation(Item, ROW, edited(ROW, ["stock", "many"]))).toThrow(
    "stock: Enter a number, such as 12.",
  );
});
