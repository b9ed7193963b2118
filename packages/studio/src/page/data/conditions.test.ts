import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Field } from "../model.ts";
import {
  conditionProblem,
  filterOf,
  isFilterable,
  OPERATORS,
  operatorsOf,
  orderOf,
  readConditions,
  writeConditions,
  type Condition,
  type Operator,
} from "./conditions.ts";

const field = (name: string, type: Field["type"], optional = false): Field => ({
  name,
  type,
  optional,
  unique: false,
});
const FIELDS = [
  field("title", "string"),
  field("stock", "int"),
  field("done", "bool"),
  field("note", "string", true),
  field("data", "json"),
];

test("a filter has the values of the fields' types, and all conditions of one field", () => {
  const conditions: Condition[] = [
    { field: "title", operator: "$ilike", text: "lamp" },
    { field: "stock", operator: "$gte", text: "2" },
    { field: "stock", operator: "$lt", text: "9" },
    { field: "done", operator: "$eq", text: "true" },
    { field: "note", operator: "$eq", text: "" },
  ];
  expect(filterOf(conditions, FIELDS)).toEqual({
    title: { $ilike: "lamp" },
    stock: { $gte: 2, $lt: 9 },
    done: { $eq: true },
    note: { $eq: null },
  });
});

test("a list is divided at its commas, and each value has the field's type", () => {
  const condition = (text: string): Condition => ({ field: "stock", operator: "$in", text });
  expect(filterOf([condition("1, 2,3")], FIELDS)).toEqual({ stock: { $in: [1, 2, 3] } });
  expect(filterOf([condition("1, x")], FIELDS)).toEqual({});
  expect(filterOf([condition(" ")], FIELDS)).toEqual({});
});

test("a list may be JSON, so that its texts can contain commas and quotes", () => {
  const condition = (text: string): Condition => ({ field: "title", operator: "$in", text });
  const texts = ["a, b", 'say "c"', "two\nlines"];
  expect(filterOf([condition(JSON.stringify(texts))], FIELDS)).toEqual({ title: { $in: texts } });
  expect(filterOf([condition('["a", ')], FIELDS)).toEqual({});
});

test("texts are compared as they are, with their quotes, lines and spaces", () => {
  for (const text of ['say "x"', "it's", "two\nlines", " x ", "100%", "a_b", "\\"])
    expect(filterOf([{ field: "title", operator: "$eq", text }], FIELDS)).toEqual({
      title: { $eq: text },
    });
});

test("an empty value is null only if the field can be null", () => {
  const condition = (name: string): Condition => ({ field: name, operator: "$ne", text: "" });
  expect(filterOf([condition("note")], FIELDS)).toEqual({ note: { $ne: null } });
  expect(filterOf([condition("title")], FIELDS)).toEqual({ title: { $ne: "" } });
  expect(filterOf([condition("stock"), condition("done")], FIELDS)).toEqual({
    stock: { $ne: null },
    done: { $ne: null },
  });
});

test("a field may have the name of a property that every object has", () => {
  const fields = ["constructor", "toString", "hasOwnProperty"].map((name) => field(name, "string"));
  const conditions = fields.map(({ name }): Condition => ({
    field: name,
    operator: "$eq",
    text: "x",
  }));
  const filter = filterOf(conditions, fields);
  expect(Object.entries(filter)).toEqual(fields.map(({ name }) => [name, { $eq: "x" }]));
});

test("hidden fields, by which the server does not filter, are left out", () => {
  const hash: Field = { ...field("hash", "string"), hidden: true };
  expect(isFilterable(hash)).toBe(false);
  expect(filterOf([{ field: "hash", operator: "$eq", text: "x" }], [hash])).toEqual({});
});

test.each([
  ["removed", "1", "There is no field removed."],
  ["data", "{}", "Rows can't be filtered by data."],
  ["stock", "many", "Enter a number, such as 12."],
  ["stock", "", null],
  ["stock", "5", null],
])("why a condition on %s with %p does not filter: %p", (name, text, problem) => {
  expect(conditionProblem({ field: name, operator: "$eq", text }, FIELDS)).toBe(problem);
});

test("the order of an address is that of a field by which rows can be ordered", () => {
  const of = (order: string | null): unknown =>
    orderOf(new URLSearchParams(order === null ? {} : { order }), FIELDS);
  expect(of("stock asc")).toEqual({ field: "stock", direction: "asc" });
  expect(of("stock sideways")).toEqual({ field: "stock", direction: "desc" });
  for (const other of [null, "", "removed asc", "data asc", "constructor asc"])
    expect(of(other)).toEqual({ field: "id", direction: "desc" });
});

test("a condition that is not complete, or whose field is gone, does not filter", () => {
  const conditions: Condition[] = [
    { field: "stock", operator: "$eq", text: "-" },
    { field: "done", operator: "$eq", text: "tru" },
    { field: "removed", operator: "$eq", text: "1" },
  ];
  expect(filterOf(conditions, FIELDS)).toEqual({});
});

test("conditions are in the address as they were entered", () => {
  const operators = Object.keys(OPERATORS).filter((name): name is Operator => name in OPERATORS);
  const condition = fc.record({
    field: fc.stringMatching(/^[a-z]\w*$/),
    operator: fc.constantFrom(...operators),
    text: fc.string(),
  });
  fc.assert(
    fc.property(fc.array(condition), (conditions) => {
      const query = writeConditions(
        new URLSearchParams("order=id asc&where=old $eq 1"),
        conditions,
      );
      const reloaded = new URLSearchParams(query.toString());
      expect(readConditions(reloaded)).toEqual(conditions);
      expect(reloaded.get("order")).toBe("id asc");
    }),
  );
});

test("an address with an unknown operator has no condition", () => {
  expect(readConditions(new URLSearchParams({ where: "title constructor x" }))).toEqual([]);
});

test("each field that can be filtered has operators of its type", () => {
  expect(FIELDS.filter(isFilterable).map(({ name }) => name)).not.toContain("data");
  expect(operatorsOf({ type: "bool" })).toEqual(["$eq", "$ne"]);
  expect(operatorsOf({ type: "id(User)" })).not.toContain("$gt");
  expect(operatorsOf({ type: "datetime" })).toContain("$lte");
});
