import { expect, test } from "bun:test";
import fc from "fast-check";
import { applyFieldOperator, fieldOperatorOf } from "./field-operator.ts";
import { applyPlainOperator, plainOperatorOf } from "./plain-operator.ts";

const operands = fc.oneof(fc.double(), fc.integer(), fc.string(), fc.array(fc.integer()));
const operators = fc.dictionary(fc.constantFrom("$increment", "$append", "other"), operands);

test("the operator of an unknown field is that of a float or an array", () => {
  fc.assert(
    fc.property(operators, fc.oneof(operands, fc.constant(null)), (value, current) => {
      const operator = fieldOperatorOf("float", value) ?? fieldOperatorOf("array", value);
      const plain = plainOperatorOf(value);
      expect(plain).toEqual(operator as typeof plain);
      if (plain === undefined || operator === undefined) return;
      expect(applyPlainOperator(plain, current)).toEqual(applyFieldOperator(operator, current));
    }),
  );
});

test.each<[unknown]>([[null], [1], ["text"], [[{ $increment: 1 }]]])(
  "%p is not an operator",
  (value) => {
    expect(plainOperatorOf(value)).toBeUndefined();
  },
);
