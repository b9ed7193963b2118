import type { Expr, InExpr, Root, WrittenForm } from "./expr.ts";
import type { FieldKind } from "./field-kinds.ts";
import { outerScope, type PolicyScope, type RelatedScope } from "./check-policy.ts";
import { storedForm } from "./stored-form.ts";

/**
 * Converts the literals of a policy to the form in which fields store them: `data.due <
 * "2026-01-01"` compares with `"2026-01-01T00:00:00.000Z"`, and `data.price > 12.50` with `"12.5"`
 * by value. A claim or an input that is compared with such a field is converted too. The policy
 * must have passed checkPolicy.
 */
export function normaliseLiterals(expr: Expr, scope: PolicyScope): Expr {
  return new LiteralNormaliser(scope).condition(expr, undefined);
}

class LiteralNormaliser {
  readonly #scope: PolicyScope;

  constructor(scope: PolicyScope) {
    this.#scope = scope;
  }

  condition(expr: Expr, related: RelatedScope | undefined): Expr {
    switch (expr.kind) {
      case "and":
      case "or":
        return { ...expr, items: expr.items.map((item) => this.condition(item, related)) };
      case "not":
        return { ...expr, item: this.condition(expr.item, related) };
      case "exists":
        return { ...expr, where: this.condition(expr.where, this.#within(expr.entity, related)) };
      case "compare": {
        const left = this.condition(expr.left, related);
        const right = this.condition(expr.right, related);
        const form = this.#formOf(left, related) ?? this.#formOf(right, related);
        if (form === undefined) return { ...expr, left, right };
        return {
          ...expr,
          left: written(left, form),
          right: written(right, form),
          ...(form === "decimal" ? { isDecimal: true } : {}),
        };
      }
      case "in":
        return this.#membership(expr, related);
      default:
        return expr;
    }
  }

  #membership(expr: InExpr, related: RelatedScope | undefined): Expr {
    const { item, list } = expr;
    const entries = list.kind === "list" ? list.items : [];
    const form = [item, ...entries]
      .map((one) => this.#formOf(one, related))
      .find((found) => found !== undefined);
    if (form === undefined) return expr;
    const values =
      list.kind === "list"
        ? { ...list, items: list.items.map((entry) => written(entry, form)) }
        : written(list, form);
    return { ...expr, item: written(item, form), list: values };
  }

  #within(entity: string, outer: RelatedScope | undefined): RelatedScope | undefined {
    const shape = this.#scope.schema.get(entity);
    return shape === undefined ? undefined : { shape, outer };
  }

  #formOf(expr: Expr, related: RelatedScope | undefined): WrittenForm | undefined {
    if (expr.kind === "now") return "datetime";
    const kind = this.#kindOf(expr, related);
    return kind === "datetime" || kind === "decimal" ? kind : undefined;
  }

  #kindOf(expr: Expr, related: RelatedScope | undefined): FieldKind | undefined {
    if (expr.kind === "outer") return outerScope(related, expr.up)?.shape.fields.get(expr.name);
    if (expr.kind !== "path") return undefined;
    if (expr.root === "related") return related?.shape.fields.get(expr.name);
    const isRow = expr.root === "data" || expr.root === "old";
    return isRow
      ? this.#scope.schema.get(this.#scope.entity ?? "")?.fields.get(expr.name)
      : undefined;
  }
}

/** The roots that are not rows: their values can be of any kind. */
const OUTSIDE: ReadonlySet<Root> = new Set(["auth", "input", "room"]);

function written(expr: Expr, form: WrittenForm): Expr {
  if (expr.kind === "path" && OUTSIDE.has(expr.root)) return { ...expr, as: form };
  if (expr.kind !== "literal") return expr;
  return { ...expr, value: storedForm(expr.value, form) ?? expr.value };
}
