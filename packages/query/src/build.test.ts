import { expect, test } from "bun:test";
import fc from "fast-check";
import { and, conjuncts, isFalse, isTrue, literal, not, or, path } from "./build.ts";
import { compilePredicate } from "./compile-predicate.ts";
import type { Expr } from "./expr.ts";
import { nodesOf } from "./walk.ts";

/** A condition, and its meaning defined without the builders. */
interface Case {
  readonly expr: Expr;
  readonly holds: (row: Readonly<Record<string, boolean>>) => boolean;
}

const leaf: fc.Arbitrary<Case> = fc.oneof(
  fc.boolean().map((value): Case => ({ expr: literal(value), holds: () => value })),
  fc.constantFrom("a", "b", "c").map((name): Case => ({
    expr: { kind: "compare", op: "==", left: path("data", name), right: literal(true) },
    holds: (row) => row[name] === true,
  })),
);
const { tree } = fc.letrec<{ tree: Case }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    tie("tree").map((one): Case => ({ expr: not(one.expr), holds: (row) => !one.holds(row) })),
    fc.array(tie("tree"), { maxLength: 3 }).map((all): Case => ({
      expr: and(...all.map(({ expr }) => expr)),
      holds: (row) => all.every(({ holds }) => holds(row)),
    })),
    fc.array(tie("tree"), { maxLength: 3 }).map((all): Case => ({
      expr: or(...all.map(({ expr }) => expr)),
      holds: (row) => all.some(({ holds }) => holds(row)),
    })),
  ),
}));
const ROWS = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
  a: (bits & 1) > 0,
  b: (bits & 2) > 0,
  c: (bits & 4) > 0,
}));

test("and, or and not have their meaning, and all conjuncts must be true", () => {
  fc.assert(
    fc.property(tree, ({ expr, holds }) => {
      const meets = compilePredicate(expr);
      const parts = conjuncts(expr).map((part) => compilePredicate(part));
      for (const data of ROWS) {
        expect(meets({ data })).toBe(holds(data));
        expect(parts.every((part) => part({ data }))).toBe(holds(data));
      }
    }),
  );
});

test("no part of the result is superfluous", () => {
  fc.assert(
    fc.property(tree, ({ expr }) => {
      for (const node of nodesOf(expr)) {
        // A literal is the whole condition or a side of a comparison.
        if (node.kind === "not") expect(["not", "literal"]).not.toContain(node.item.kind);
        if (node.kind !== "and" && node.kind !== "or") continue;
        expect(node.items.length).toBeGreaterThan(1);
        for (const item of node.items) expect([node.kind, "literal"]).not.toContain(item.kind);
      }
    }),
  );
});

test("only the literals themselves are known to be true or false", () => {
  const open = path("data", "a");
  expect([true, false, null, 1].map((value) => isTrue(literal(value)))).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect([true, false, null, 0].map((value) => isFalse(literal(value)))).toEqual([
    false,
    true,
    false,
    false,
  ]);
  expect([isTrue(open), isFalse(open)]).toEqual([false, false]);
  // An empty `and` is true, and an empty `or` is false.
  expect([isTrue(and()), isFalse(or())]).toEqual([true, true]);
});
