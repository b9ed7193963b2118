import { conjuncts, pathsOf, type Expr } from "@pylonsync/query";

/**
 * The values of the caller that a rule reads, sorted: callers with the same ones see the same rows.
 */
export function audienceKeyPaths(rule: Expr): readonly string[] {
  return [...pathsOf(rule, "auth")].toSorted();
}

/**
 * A part of a rule that says: only for the callers whose `auth.<authName>` is the row's `<field>`.
 */
export interface Discriminator {
  readonly authName: string;
  readonly field: string;
}

/** The parts that must hold and name the audience by a field's value. */
export function discriminators(rule: Expr): Discriminator[] {
  return conjuncts(rule).flatMap((part) => {
    if (
      part.kind !== "compare" ||
      part.op !== "==" ||
      part.left.kind !== "path" ||
      part.right.kind !== "path"
    )
      return [];
    const [a, b] = part.left.root === "auth" ? [part.left, part.right] : [part.right, part.left];
    return a.root === "auth" && b.root === "data" ? [{ authName: a.name, field: b.name }] : [];
  });
}
