import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Field } from "../model.ts";
import {
  filterOf,
  isFilterable,
  OPERATORS,
  operatorsOf,
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
