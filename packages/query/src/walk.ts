import { and, not, or } from "./build.ts";
import type { Expr, Root } from "./expr.ts";

/** The direct children of a node. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case "literal":
    case "path":
    case "outer":
    case "now":
      return [];
    case "list":
    case "and":
    case "or":
      return expr.items;
    case "compare":
      return [expr.left, expr.right];
    case "in":
      return [expr.item, expr.list];
    case "contains":
      return [expr.text, expr.part];
    case "startsWith":
      return [expr.text, expr.prefix];
    case "endsWith":
      return [expr.text, expr.suffix];
    case "containsFolded":
      return [expr.text];
    case "member":
      return [expr.of];
    case "has":
      return [expr.list];
    case "not":
      return [expr.item];
    case "exists":
      return [expr.where];
    case "hasRelated":
      return [expr.key, expr.where];
  }
}

/** The node with its direct children replaced, and the result folded. */
export function mapChildren(expr: Expr, map: (child: Expr) => Expr): Expr {
  switch (expr.kind) {
    case "literal":
    case "path":
    case "outer":
    case "now":
      return expr;
    case "list":
      return { ...expr, items: expr.items.map(map) };
    case "and":
      return and(...expr.items.map(map));
    case "or":
      return or(...expr.items.map(map));
    case "compare":
      return { ...expr, left: map(expr.left), right: map(expr.right) };
    case "in":
      return { ...expr, item: map(expr.item), list: map(expr.list) };
    case "contains":
      return { ...expr, text: map(expr.text), part: map(expr.part) };
    case "startsWith":
      return { ...expr, text: map(expr.text), prefix: map(expr.prefix) };
    case "endsWith":
      return { ...expr, text: map(expr.text), suffix: map(expr.suffix) };
    case "containsFolded":
      return { ...expr, text: map(expr.text) };
    case "member":
      return { ...expr, of: map(expr.of) };
    case "has":
      return { ...expr, list: map(expr.list) };
    case "not":
      return not(map(expr.item));
    case "exists":
      return { ...expr, where: map(expr.where) };
    case "hasRelated":
      return { ...expr, key: map(expr.key), where: map(expr.where) };
  }
}

/** Every node of the tree, the root first. */
export function* nodesOf(expr: Expr): Generator<Expr> {
  yield expr;
  for (const child of childrenOf(expr)) yield* nodesOf(child);
}

/** Whether the tree looks at other rows. */
export function hasExists(expr: Expr): boolean {
  for (const node of nodesOf(expr))
    if (node.kind === "exists" || node.kind === "hasRelated") return true;
  return false;
}

/** Whether an inner `exists` of the tree names the row of an outer one. */
export function namesOuter(expr: Expr): boolean {
  for (const node of nodesOf(expr)) if (node.kind === "outer") return true;
  return false;
}

/** The names that the tree reads from a root; for `related` also those of outer rows. */
export function pathsOf(expr: Expr, root: Root): Set<string> {
  const names = new Set<string>();
  for (const node of nodesOf(expr)) {
    if (node.kind === "path" && node.root === root) names.add(node.name);
    if (node.kind === "outer" && root === "related") names.add(node.name);
  }
  return names;
}
