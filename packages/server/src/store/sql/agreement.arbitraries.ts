import {
  isScalarKind,
  MAX_NODES,
  MAX_SEARCHES,
  normaliseDecimal,
  FALSE,
  TRUE,
  type CompareOp,
  type EntityShape,
  type Expr,
  type FieldKind,
  type PathExpr,
  type Root,
  type Scalar,
  type SchemaShape,
} from "@pylonsync/query";
import fc from "fast-check";
import type { StoredRow, Value } from "../store.ts";
import { anyText } from "../../../../../tests/support/any-text.ts";

/** Small pools of difficult values, so that generated rows and conditions often match. */
const TEXTS = [
  "",
  "a",
  "A",
  "ab",
  "abc",
  "b",
  "é",
  "z\u0301",
  "%",
  "_",
  "a_c",
  "'",
  '"',
  "\\",
  "日本",
  "\uFFFD",
  "\u{1F600}",
  "\u{10FFFF}",
  "a\u{1F600}b",
  " ",
  "null",
  "1",
];
/** Letters with several cases, and characters with a special meaning in the databases' patterns. */
const CASES = [
  "É",
  "AB",
  "aB",
  "ß",
  "ẞ",
  "Σ",
  "ς",
  "σ",
  "K",
  "\u212A",
  "ſ",
  "İ",
  "ı",
  "ǅ",
  "\u{10400}",
  "\u{10428}",
  "[a]",
  "]",
  "[",
  "^a",
  "a*",
  "?",
  "(.",
  "{1}",
  "|",
  "-",
];
const INTS = [
  0,
  1,
  -1,
  2,
  7,
  42,
  2 ** 31,
  -(2 ** 31) - 1,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
];
const FLOATS = [
  0,
  0.1,
  0.30000000000000004,
  -0.5,
  1,
  1.5,
  2,
  1e-300,
  1e300,
  -1e300,
  Math.PI,
  Number.MAX_SAFE_INTEGER,
];
const DATES = [
  "0001-01-01T00:00:00.000Z",
  "1969-12-31T23:59:59.999Z",
  "1970-01-01T00:00:00.000Z",
  "2026-01-01T00:00:00.000Z",
  "2026-01-01T00:00:00.001Z",
  "9999-12-31T23:59:59.999Z",
];

/** Difficult ones: signs, digits on only one side of the point, and the limits of a field. */
const DECIMALS = [
  "0",
  "1",
  "-1",
  "9",
  "10",
  "-10",
  "0.5",
  "-0.5",
  "0.05",
  "12.5",
  "-12.505",
  "0.000000000000000001",
  "999999999999999999.999999999999999999",
  "-999999999999999999.999999999999999999",
];

/** The classes of values that can be compared with each other. */
export type Class = "text" | "number" | "decimal" | "bool" | "datetime";
const KINDS: Record<Class, readonly FieldKind[]> = {
  text: ["string", "richtext", "id"],
  number: ["int", "float"],
  decimal: ["decimal"],
  bool: ["bool"],
  datetime: ["datetime"],
};
const CLASSES: readonly Class[] = ["text", "number", "decimal", "bool", "datetime"];
const LITERALS: Record<Class, fc.Arbitrary<Scalar>> = {
  text: fc.oneof(
    { arbitrary: fc.constantFrom(...TEXTS), weight: 4 },
    { arbitrary: fc.constantFrom(...CASES), weight: 2 },
    { arbitrary: text(), weight: 1 },
  ),
  // A condition may contain a fraction for an int, and numbers that no column can store.
  number: fc.oneof(
    fc.constantFrom(...INTS),
    fc.constantFrom(...FLOATS),
    fc.constantFrom(0.5, 2 ** 60, -(2 ** 70)),
  ),
  decimal: fc.oneof(
    fc.constantFrom(...DECIMALS),
    fc
      .tuple(fc.integer({ min: -99, max: 99 }), fc.nat(3))
      .map(([digits, scale]) => normaliseDecimal((digits / 10 ** scale).toFixed(scale)) ?? "0"),
  ),
  bool: fc.boolean(),
  datetime: fc.constantFrom(...DATES),
};
/** Keys of objects, some of which look like list indexes or exist in every prototype. */
const STEPS = ["a", "b c", "0", "é", "length", "constructor"] as const;
const MEMBERS: readonly Scalar[] = ["a", "1", "", "É", 1, 0.5, -7, 2 ** 53, true, false, null];

const STORED: Record<FieldKind, fc.Arbitrary<Value>> = {
  string: LITERALS.text,
  richtext: LITERALS.text,
  id: fc.constantFrom("u1", "u2", "A0"),
  int: fc.oneof(fc.constantFrom(...INTS), fc.maxSafeInteger()),
  float: fc.oneof(fc.constantFrom(...FLOATS), fc.double({ noNaN: true, noDefaultInfinity: true })),
  bool: fc.boolean(),
  datetime: LITERALS.datetime,
  decimal: LITERALS.decimal,
  // These are compared only with null, and are stored beside the other columns.
  encrypted: LITERALS.text,
  json: fc.oneof(
    members(2).map((value): Value => (typeof value === "object" && value !== null ? value : {})),
    fc.constant<Value>({ a: [null, "\u{1F600}"] }),
  ),
  array: fc.array(fc.oneof(fc.constantFrom<Value[]>("a", "1", 1, 0.5, true), LITERALS.text), {
    maxLength: 3,
  }),
};

/** The values inside of a json. */
function members(depth: number): fc.Arbitrary<Value> {
  const scalar = fc.constantFrom<Value[]>(...MEMBERS);
  if (depth === 0) return scalar;
  const inner = members(depth - 1);
  return fc.oneof(
    { arbitrary: scalar, weight: 2 },
    { arbitrary: fc.array(inner, { maxLength: 3 }), weight: 1 },
    {
      arbitrary: fc
        .uniqueArray(fc.tuple(fc.constantFrom(...STEPS), inner), {
          maxLength: 3,
          selector: ([step]) => step,
        })
        .map((entries): Value => Object.fromEntries(entries)),
      weight: 3,
    },
  );
}

/** The search texts: also letters in other cases, and special characters of patterns. */
export const needles = fc.oneof(
  { arbitrary: fc.constantFrom(...TEXTS), weight: 3 },
  { arbitrary: fc.constantFrom(...CASES), weight: 3 },
  { arbitrary: text(), weight: 1 },
);

function text(): fc.Arbitrary<string> {
  return anyText({ maxLength: 6 }).filter((value) => !value.includes("\0") && value.isWellFormed());
}

/** Tables with their rows. */
export interface World {
  readonly schema: SchemaShape;
  readonly rows: ReadonlyMap<string, readonly StoredRow[]>;
}
const ENTITIES = ["Alpha", "Beta"] as const;

function shape(name: string): fc.Arbitrary<EntityShape> {
  const kinds = fc.array(
    fc.constantFrom<FieldKind>(
      "string",
      "int",
      "float",
      "decimal",
      "bool",
      "datetime",
      "richtext",
      "id",
      "json",
      "array",
    ),
    { minLength: 1, maxLength: 6 },
  );
  return kinds.map((fields) => ({
    name,
    fields: new Map<string, FieldKind>([
      ["id", "id"],
      ...fields.map((kind, index): [string, FieldKind] => [`f"${index}`, kind]),
    ]),
  }));
}

function rowsOf({ fields }: EntityShape): fc.Arbitrary<StoredRow[]> {
  const values = Object.fromEntries(
    [...fields]
      .filter(([name]) => name !== "id")
      .map(([name, kind]) => [name, fc.option(STORED[kind], { freq: 4 })]),
  );
  const id = fc.oneof(
    fc.constantFrom("u1", "u2", "A0", "b-1"),
    fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/),
  );
  const row = fc
    .tuple(id, fc.record(values))
    .map(([chosen, rest]): StoredRow => ({ id: chosen, ...rest }));
  return fc.uniqueArray(row, { selector: (one) => one.id, maxLength: 8 });
}

/** Schemas, and rows that match them. */
export const worlds: fc.Arbitrary<World> = fc
  .tuple(shape("Alpha"), shape("Beta"))
  .chain((shapes) => fc.tuple(fc.constant(shapes), fc.tuple(...shapes.map(rowsOf))))
  .map(([shapes, rows]) => ({
    schema: new Map(shapes.map((one) => [one.name, one])),
    rows: new Map(ENTITIES.map((name, index) => [name, rows[index] ?? []])),
  }));

const AUTH: Record<Class, readonly string[]> = {
  text: ["userId", "tenantId", "apiKeyId", "claims.plan"],
  number: ["claims.level"],
  decimal: [],
  bool: ["isAdmin", "isGuest", "claims.beta"],
  datetime: [],
};
/** Callers of all kinds. */
export const callers = fc.record({
  userId: fc.option(fc.constantFrom("u1", "u2", "a")),
  isAdmin: fc.boolean(),
  isGuest: fc.boolean(),
  tenantId: fc.option(fc.constantFrom("ab", "")),
  roles: fc.subarray(["a", "abc", "u1", "editor"]),
  apiKeyId: fc.constant(null),
  apiKeyScopes: fc.subarray(["b", "A"]),
  isTrustedDevice: fc.boolean(),
  claims: fc.record(
    {
      plan: fc.constantFrom("a", "ab", "u1"),
      level: fc.constantFrom(0, 1, 2.5),
      beta: fc.boolean(),
      teams: fc.subarray(["a", "abc", "u1"]),
    },
    { requiredKeys: [] },
  ),
});
/** Values of `now()`. */
export const times = fc.constantFrom(...DATES);

/**
 * Conditions on rows of Alpha that checkPolicy accepts: all kinds of nodes.
 *
 * @param existsDepth the maximum nesting of `exists`; 0 for conditions on the row alone
 */
export function conditions(schema: SchemaShape, existsDepth = 2): fc.Arbitrary<Expr> {
  return condition(
    { schema, data: alphaOf(schema), related: undefined, outer: [] },
    3,
    existsDepth,
  );
}

interface Scope {
  readonly schema: SchemaShape;
  /** The entity of `data` paths. */
  readonly data: EntityShape;
  /** The entity of the innermost `exists`. */
  readonly related: EntityShape | undefined;
  /** The entities of the enclosing `exists`, from the inside out. */
  readonly outer: readonly EntityShape[];
}

function alphaOf(schema: SchemaShape): EntityShape {
  const shape = schema.get("Alpha");
  if (shape === undefined) throw new Error("Every world has Alpha.");
  return shape;
}

/** The expression for a filter over a relation: inside of it, the related row is `data`. */
function hasRelated(
  scope: Scope,
  entity: EntityShape,
  depth: number,
  existsDepth: number,
): fc.Arbitrary<Expr> {
  return fc
    .record({
      key: fc.constantFrom(...paths("data", scope.data, "text")),
      field: fc.constantFrom(...paths("data", entity, "text")).map(({ name }) => name),
      where: lazily(() =>
        condition({ ...scope, data: entity, related: undefined, outer: [] }, depth, existsDepth),
      ),
    })
    .map((parts): Expr => ({ kind: "hasRelated", entity: entity.name, ...parts }));
}

/**
 * Makes an arbitrary when a value of it is needed: all that a condition may contain, made for each
 * world, would be thousands of arbitraries, of which one condition uses a few.
 */
function lazily<T>(make: () => fc.Arbitrary<T>): fc.Arbitrary<T> {
  let made: fc.Arbitrary<T> | undefined;
  return fc.constant(null).chain(() => (made ??= make()));
}

function condition(scope: Scope, depth: number, existsDepth: number): fc.Arbitrary<Expr> {
  const leaf = CLASSES.map((kind) => comparison(scope, kind, depth));
  const flag = operands(scope, "bool").filter((expr) => expr.kind === "path");
  const simple = fc.oneof(
    ...leaf,
    membership(scope),
    texts(scope),
    nested(scope),
    fc.constantFrom(TRUE, FALSE),
    flag,
  );
  if (depth === 0) return simple;
  const inner = lazily(() => condition(scope, depth - 1, existsDepth));
  const several = fc.array(inner, { minLength: 1, maxLength: 3 });
  const branches: fc.Arbitrary<Expr>[] = [
    several.map((items) => ({ kind: "and", items })),
    several.map((items) => ({ kind: "or", items })),
    inner.map((item) => ({ kind: "not", item })),
  ];
  if (existsDepth > 0) {
    for (const entity of scope.schema.values()) {
      const outer = scope.related === undefined ? [] : [scope.related, ...scope.outer];
      const exists = lazily(() =>
        condition({ ...scope, related: entity, outer }, depth - 1, existsDepth - 1),
      );
      branches.push(exists.map((where) => ({ kind: "exists", entity: entity.name, where })));
      branches.push(hasRelated(scope, entity, depth - 1, existsDepth - 1));
    }
  }
  return fc.oneof(
    { arbitrary: simple, weight: 2 },
    ...branches.map((arbitrary) => ({ arbitrary, weight: 1 })),
  );
}

function paths(root: Root, entity: EntityShape | undefined, kind: Class): PathExpr[] {
  return [...(entity?.fields ?? [])]
    .filter(([, field]) => KINDS[kind].includes(field))
    .map(([name]) => ({ kind: "path", root, name }));
}

function operands(scope: Scope, kind: Class): fc.Arbitrary<Expr> {
  const rows: Expr[] = [
    ...paths("data", scope.data, kind),
    ...paths("related", scope.related, kind),
    ...scope.outer.flatMap((entity, index) =>
      paths("related", entity, kind).map(({ name }): Expr => ({
        kind: "outer",
        up: index + 1,
        name,
      })),
    ),
  ];
  const others: Expr[] = [
    ...paths("old", alphaOf(scope.schema), kind),
    ...AUTH[kind].map((name): Expr => ({ kind: "path", root: "auth", name })),
  ];
  if (kind === "datetime") others.push({ kind: "now" });
  const literals = LITERALS[kind].map((value): Expr => ({ kind: "literal", value }));
  return fc.oneof(
    { arbitrary: rows.length > 0 ? fc.constantFrom<Expr[]>(...rows) : literals, weight: 5 },
    { arbitrary: literals, weight: 2 },
    { arbitrary: others.length > 0 ? fc.constantFrom<Expr[]>(...others) : literals, weight: 2 },
  );
}

function comparison(scope: Scope, kind: Class, depth: number): fc.Arbitrary<Expr> {
  const ops: CompareOp[] = kind === "bool" ? ["==", "!="] : ["==", "!=", "<", "<=", ">", ">="];
  const plain = operands(scope, kind);
  const operand = kind === "bool" && depth > 0 ? fc.oneof(plain, condition(scope, 0, 0)) : plain;
  const asked = fc
    .tuple(fc.constantFrom<CompareOp>("==", "!="), operand, fc.boolean())
    .map(([op, left, swapped]): Expr => {
      const none: Expr = { kind: "literal", value: null };
      return swapped
        ? { kind: "compare", op, left: none, right: left }
        : { kind: "compare", op, left, right: none };
    });
  const between = fc
    .tuple(fc.constantFrom(...ops), operand, operand)
    .map(([op, left, right]): Expr => ({
      kind: "compare",
      op,
      left,
      right,
      ...(kind === "decimal" ? { isDecimal: true } : {}),
    }));
  return fc.oneof({ arbitrary: between, weight: 5 }, { arbitrary: asked, weight: 1 });
}

function membership(scope: Scope): fc.Arbitrary<Expr> {
  const written = CLASSES.map((kind) => {
    const none: fc.Arbitrary<Expr> = fc.constant({ kind: "literal", value: null });
    const entry = fc.oneof(
      { arbitrary: operands(scope, kind), weight: 6 },
      { arbitrary: none, weight: 1 },
    );
    return fc
      .tuple(operands(scope, kind), fc.array(entry, { maxLength: 5 }))
      .map(([item, items]): Expr => ({ kind: "in", item, list: { kind: "list", items } }));
  });
  const ofCaller = fc
    .tuple(operands(scope, "text"), fc.constantFrom("roles", "apiKeyScopes", "claims.teams"))
    .map(([item, name]): Expr => ({
      kind: "in",
      item,
      list: { kind: "path", root: "auth", name },
    }));
  return fc.oneof(...written, ofCaller);
}

function texts(scope: Scope): fc.Arbitrary<Expr> {
  const operand = operands(scope, "text");
  const kinds = fc.constantFrom<TextKind[]>("contains", "startsWith", "endsWith");
  const plain = fc.tuple(kinds, operand, operand).map(([kind, value, part]) => {
    return textTest(kind, value, part);
  });
  const folded = fc.tuple(operand, needles).map(([value, part]): Expr => ({
    kind: "containsFolded",
    text: value,
    part,
  }));
  return fc.oneof({ arbitrary: plain, weight: 3 }, { arbitrary: folded, weight: 1 });
}

/** Conditions on the values inside of a json or an array. */
function nested(scope: Scope): fc.Arbitrary<Expr> {
  const lists = [...scope.data.fields].filter(([, kind]) => !isScalarKind(kind));
  if (lists.length === 0) return fc.constant(FALSE);
  const field = fc.constantFrom(...lists).map(([name, kind]) => ({
    kind,
    path: { kind: "path", root: "data", name } as const,
  }));
  const member = fc
    .tuple(field, fc.array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 2 }))
    .map(([{ kind, path }, steps]): Expr =>
      kind === "json" ? { kind: "member", of: path, steps } : path,
    );
  const item = fc.constantFrom(...MEMBERS);
  const compared = fc
    .tuple(fc.constantFrom<CompareOp[]>("==", "!=", "<", ">="), member, item)
    .filter(([op, , value]) => value !== null || op === "==" || op === "!=")
    .map(([op, left, value]): Expr => ({
      kind: "compare",
      op,
      left,
      right: { kind: "literal", value },
    }));
  const has = fc
    .tuple(member, fc.uniqueArray(fc.constantFrom("a", "1", "É"), { minLength: 1, maxLength: 2 }))
    .map(([list, items]): Expr => ({ kind: "has", list, items }));
  return fc.oneof(compared, has);
}

type TextKind = "contains" | "startsWith" | "endsWith";

function textTest(kind: TextKind, text: Expr, part: Expr): Expr {
  if (kind === "contains") return { kind, text, part };
  return kind === "startsWith" ? { kind, text, prefix: part } : { kind, text, suffix: part };
}

/** Filter objects as callers send them, for rows of `entity`. */
export function filters(entity: EntityShape): fc.Arbitrary<Record<string, unknown>> {
  return filterOf(entity, 1).filter(
    (filter) => searchesIn(filter) <= MAX_SEARCHES && conditionsIn(filter) <= MAX_NODES,
  );
}

/** An upper bound: keys and operators, nested filters, and both ends of `$between`. */
function conditionsIn(filter: object): number {
  return JSON.stringify(filter).match(/":|\{|\$between/g)?.length ?? 0;
}

function searchesIn(filter: object): number {
  return JSON.stringify(filter).match(/"\$(?:i?like|has(?:Any)?)":/g)?.length ?? 0;
}

function filterOf(entity: EntityShape, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const own = Object.fromEntries(
    [...entity.fields].flatMap(([name, kind]): [string, fc.Arbitrary<unknown>][] => [
      [name, fieldFilter(kind)],
      ...(kind === "json"
        ? MEMBER_PATHS.map((path): [string, fc.Arbitrary<unknown>] => [
            `${name}.${path}`,
            memberFilter(),
          ])
        : []),
    ]),
  );
  const plain = fc.record(own, { requiredKeys: [] });
  if (depth === 0) return plain;
  const nested = fc.array(filterOf(entity, depth - 1), { maxLength: 3 });
  const logic = fc.record(
    { $and: nested, $or: nested, $not: filterOf(entity, depth - 1) },
    { requiredKeys: [] },
  );
  return fc
    .tuple(
      plain,
      fc.oneof({ arbitrary: fc.constant({}), weight: 2 }, { arbitrary: logic, weight: 1 }),
    )
    .map(([a, b]) => ({ ...a, ...b }));
}

const MEMBER_PATHS = ["a", "b c", "0", "constructor", "a.a", "a.é", "b c.0"];

/** Conditions on a value inside of a json, which may have any type. */
function memberFilter(): fc.Arbitrary<unknown> {
  const value = fc.constantFrom(...MEMBERS);
  const some = fc.constantFrom(...MEMBERS.filter((one) => one !== null));
  const list = fc.array(value, { maxLength: 4 });
  const few = fc.record(
    {
      $ne: value,
      $gt: some,
      $lte: some,
      $in: list,
      $nin: list,
      $exists: fc.boolean(),
      $like: needles,
      $ilike: needles,
      $startsWith: needles,
      $has: some,
      $hasAny: fc.array(some, { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );
  return fc.oneof(
    value,
    few
      .chain((all) => fc.subarray(Object.entries(all)))
      .map((entries) => entries.slice(0, 2))
      .filter((entries) => entries.length > 0)
      .map((entries) => Object.fromEntries(entries)),
  );
}

function fieldFilter(kind: FieldKind): fc.Arbitrary<unknown> {
  if (!isScalarKind(kind))
    return fc.oneof(
      fc.constantFrom(null, { $exists: true }, { $exists: false }, { $ne: null }, { $in: [null] }),
      fc.record({ $has: fc.constantFrom("a", "1", 1, 0.5, true, false, "\u{1F600}") }),
      fc.record({ $hasAny: fc.array(fc.constantFrom("a", "", 1, 2 ** 70), { maxLength: 3 }) }),
    );
  const fieldClass = CLASSES.find((one) => KINDS[one].includes(kind)) ?? "text";
  const value = LITERALS[fieldClass];
  const maybe = fc.option(value, { freq: 6 });
  const list = fc.array(maybe, { maxLength: 4 });
  const ordered =
    fieldClass === "bool"
      ? {}
      : {
          $gt: value,
          $gte: value,
          $lt: value,
          $lte: value,
          $between: fc.tuple(value, value),
        };
  const textual =
    fieldClass === "text"
      ? { $like: needles, $ilike: needles, $startsWith: value, $endsWith: value }
      : {};
  const operators = fc.record(
    {
      $eq: maybe,
      $ne: maybe,
      $not: maybe,
      $in: list,
      $nin: list,
      $exists: fc.boolean(),
      ...ordered,
      ...textual,
    },
    { requiredKeys: [] },
  );
  const few = operators
    .chain((all) => fc.subarray(Object.entries(all)))
    .map((some) => some.slice(0, 2))
    .filter((some) => some.length > 0);
  return fc.oneof(
    maybe,
    few.map((some) => Object.fromEntries(some)),
  );
}
