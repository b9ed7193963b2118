import { expect, test } from "bun:test";
import type { FieldKind } from "@pylonsync/query";
import type { Value } from "./row.ts";
import { convertValue } from "./convert-value.ts";

test.each<[Value, FieldKind, FieldKind, Value | undefined]>([
  ["12", "string", "int", 12],
  [" -7 ", "string", "int", -7],
  ["3.0", "string", "int", 3],
  ["12.90", "string", "int", undefined],
  ["on request", "string", "int", undefined],
  ["", "string", "int", undefined],
  ["0x10", "string", "int", undefined],
  ["9007199254740993", "string", "int", undefined],
  ["12.90", "string", "float", 12.9],
  ["1e400", "string", "float", undefined],
  [12.5, "float", "int", undefined],
  [12, "float", "int", 12],
  [12, "int", "float", 12],
  [true, "bool", "int", 1],
  [2, "int", "bool", undefined],
  [0, "int", "bool", false],
  ["True", "string", "bool", true],
  ["yes", "string", "bool", undefined],
  ["next week", "string", "datetime", undefined],
  ["2026-01-05T01:00:00+01:00", "string", "datetime", "2026-01-05T00:00:00.000Z"],
  [1_767_571_200, "int", "datetime", undefined],
  ["2026-01-05T00:00:00.000Z", "datetime", "int", undefined],
  ["2026-01-05T00:00:00.000Z", "datetime", "string", "2026-01-05T00:00:00.000Z"],
  [12, "int", "string", "12"],
  [false, "bool", "string", "false"],
  [12, "int", "id", undefined],
  [" 12.90", "string", "decimal", "12.9"],
  ["on request", "string", "decimal", undefined],
  [0.1, "float", "decimal", "0.1"],
  [1e21, "float", "decimal", undefined],
  [true, "bool", "decimal", undefined],
  ["12.5", "decimal", "string", "12.5"],
  ["12.5", "decimal", "float", 12.5],
  ["12.5", "decimal", "int", undefined],
  [null, "string", "int", null],
])("Q5: %p of a %s, converted to a %s, is %p", (value, from, to, expected) => {
  expect(convertValue(value, from, to)).toBe(expected as Value);
});
