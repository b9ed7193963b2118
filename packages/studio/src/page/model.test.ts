import { expect, test } from "bun:test";
import { isGeneratedId, type Field } from "./model.ts";

const ID = "0197f3a2c5d80000000a1b2c3d4e5f60718293a4";
const fieldOf = (name: string, type: Field["type"] = "string"): Field => ({
  ...{ name, type, optional: false, unique: false },
});

test.each([
  ["tenantId", ID, true],
  ["owner_id", ID, true],
  ["tenantId", "acme", false],
  ["commit", ID, false],
  ["tenantId", null, false],
])("in %s, %p is a generated id: %p", (name, value, is) => {
  expect(isGeneratedId(fieldOf(name), value)).toBe(is);
  expect(isGeneratedId(fieldOf(name, "json"), value)).toBe(false);
});
