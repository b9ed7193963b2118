import { expect, test } from "bun:test";
import fc from "fast-check";
import { bind } from "./bind.ts";
import { compareValues } from "./compare.ts";
import { compilePredicate } from "./compile-predicate.ts";
import type { EntityShape, Scalar } from "./expr.ts";
import type { FieldKind } from "./field-kinds.ts";
import { parseFilter } from "./parse-filter.ts";

const item: EntityShape = {
  name: "Item",
  fields: new Map<string, FieldKind>([
    ["id", "id"],
    ["text", "string"],
    ["n", "float"],
    ["done", "bool"],
  ]),
};
const VALUES = {
  text: fc.constantFrom("", "a", "ab", "B", "\u{1F600}", "\uFFFD"),
  n: fc.constantFrom(-1, 0, 0.5, 2),
  done: fc.boolean(),
};
type Name = keyof typeof VALUES;
type Row = Readonly<Record<Name, Scalar>>;
type Filter = Readonly<Record<string, unknown>>;

const rows: fc.Arbitrary<Row> = fc.record({
  text: fc.option(VALUES.text),
  n: fc.option(VALUES.n),
  done: fc.option(VALUES.done),
});

function fieldFilter(name: Name): fc.Arbitrary<unknown> {
  const value: fc.Arbitrary<Scalar> = VALUES[name];
  const orNull = fc.option(value);
  const list = fc.array(orNull, { maxLength: 3 });
  const operands: Record<string, fc.Arbitrary<unknown>> = {
    $eq: orNull,
    $ne: orNull,
    $not: orNull,
    $in: list,
    $nin: list,
    $exists: fc.boolean(),
    ...(name === "done"
      ? {}
      : { $gt: value, $gte: value, $lt: value, $lte: value, $between: fc.tuple(value, value) }),
    ...(name === "text"
      ? { $like: value, $ilike: value, $startsWith: value, $endsWith: value }
      : {}),
  };
  const one = fc.oneof(
    ...Object.entries(operands).map(([operator, operand]) =>
      operand.map((asked) => ({ [operator]: asked })),
    ),
  );
  // A filter has a maximum number of conditions.
  return fc.oneof(
    orNull,
    fc.tuple(one, one).map(([first, second]) => ({ ...first, ...second })),
  );
}

const { filters } = fc.letrec<{ filters: Filter; fields: Filter }>((tie) => ({
  fields: fc.record(
    { text: fieldFilter("text"), n: fieldFilter("n"), done: fieldFilter("done") },
    { requiredKeys: [] },
  ),
  filters: fc.oneof(
    { maxDepth: 2 },
    tie("fields"),
    fc.record(
      {
        n: fieldFilter("n"),
        $and: fc.array(tie("filters"), { maxLength: 2 }),
        $or: fc.array(tie("filters"), { maxLength: 2 }),
        $not: tie("filters"),
      },
      { requiredKeys: [] },
    ),
  ),
}));

/** The meaning of a filter according to docs/queries.md, on one row. */
function matches(filter: Filter, row: Row): boolean {
  return Object.entries(filter).every(([key, asked]) => {
    if (key === "$and") return (asked as Filter[]).every((one) => matches(one, row));
    if (key === "$or") return (asked as Filter[]).some((one) => matches(one, row));
    if (key === "$not") return !matches(asked as Filter, row);
    const value = row[key as Name];
    if (typeof asked !== "object" || asked === null) return value === asked;
    return Object.entries(asked).every(([operator, operand]: [string, unknown]) =>
      holds(operator, value, operand),
    );
  });
}

function holds(operator: string, value: Scalar, operand: unknown): boolean {
  const isIn = (): boolean => (operand as Scalar[]).includes(value);
  const order = compareValues(value, operand);
  switch (operator) {
    case "$eq":
      return value === operand;
    case "$ne":
    case "$not":
      return value !== operand;
    case "$in":
      return isIn();
    case "$nin":
      return !isIn();
    case "$exists":
      return (value !== null) === operand;
    case "$like":
      return value !== null && String(value).includes(String(operand));
    case "$startsWith":
      return value !== null && String(value).startsWith(String(operand));
    case "$endsWith":
      return value !== null && String(value).endsWith(String(operand));
    case "$ilike":
      return value !== null && String(value).toLowerCase().includes(String(operand).toLowerCase());
    case "$between": {
      const [least, greatest] = operand as Scalar[];
      return (
        value !== null && compareValues(value, least) >= 0 && compareValues(value, greatest) <= 0
      );
    }
    case "$gt":
      return value !== null && order > 0;
    case "$gte":
      return value !== null && order >= 0;
    case "$lt":
      return value !== null && order < 0;
    default:
      return value !== null && order <= 0;
  }
}

test("a filter finds the matching rows, with and without the kinds of the fields", () => {
  fc.assert(
    fc.property(filters, rows, (filter, row) => {
      const expected = matches(filter, row);
      for (const shape of [item, undefined]) {
        const { where } = parseFilter(filter, shape);
        expect(compilePredicate(where)({ data: row })).toBe(expected);
        // Binding the row folds the tree to the same result.
        expect(bind(where, { data: row })).toMatchObject({ kind: "literal", value: expected });
      }
    }),
    { numRuns: 400 },
  );
});

test("truth is two-valued: a filter and its negation partition all rows", () => {
  fc.assert(
    fc.property(filters, filters, rows, (one, other, row) => {
      const test = (filter: Filter): boolean =>
        compilePredicate(parseFilter(filter, item).where)({ data: row });
      expect(test({ $not: one })).toBe(!test(one));
      expect(test({ $and: [one, other] })).toBe(test(one) && test(other));
      expect(test({ $or: [one, other] })).toBe(test(one) || test(other));
      expect(test({ $not: { $or: [one, other] } })).toBe(
        test({ $and: [{ $not: one }, { $not: other }] }),
      );
    }),
  );
});

test("a field that a row lacks is null, also one that every object inherits", () => {
  for (const name of ["other", "constructor", "toString"])
    expect(compilePredicate(parseFilter({ [name]: null }).where)({ data: {} })).toBe(true);
  expect(compilePredicate(parseFilter({ n: null }, item).where)({})).toBe(true);
});

test("only a store can evaluate a tree that looks at other rows", () => {
  const exists = {
    kind: "exists",
    entity: "Item",
    where: { kind: "literal", value: true },
  } as const;
  expect(() => compilePredicate({ kind: "not", item: exists })).toThrow("without a store");
});
