import type { EntityShape, Expr } from "./expr.ts";
import type { PolicyScope } from "./check-policy.ts";
import { normaliseDatetime } from "./value-kind.ts";

/**
 * Brings the dates that a policy writes as text to the form in which datetimes are stored:
 * `data.due < "2026-01-01"` compares with
 * `"2026-01-01T00:00:00.000Z"`. For a policy that checkPolicy found nothing wrong with.
 */
export function normaliseDates(expr: Expr, scope: PolicyScope): Expr {
  return new DateNormaliser(scope).condition(expr, undefined);
}

class DateNormaliser {
  readonly #scope: PolicyScope;

  constructor(scope: PolicyScope) {
    this.#scope = scope;
  }

  condition(expr: Expr, related: EntityShape | undefined): Expr {
    switch (expr.kind) {
      case "and":
      case "or":
        return { ...expr, items: expr.items.map((item) => this.condition(item, related)) };
      case "not":
        return { ...expr, item: this.condition(expr.item, related) };
      case "exists":
        return { ...expr, where: this.condition(expr.where, this.#scope.schema.get(expr.entity)) };
      case "compare": {
        const left = this.condition(expr.left, related);
        const right = this.condition(expr.right, related);
        if (this.#isDatetime(left, related)) return { ...expr, left, right: asDate(right) };
        return { ...expr, left: this.#isDatetime(right, related) ? asDate(left) : left, right };
      }
      case "in":
        return expr.list.kind === "list" && this.#isDatetime(expr.item, related)
          ? { ...expr, list: { ...expr.list, items: expr.list.items.map(asDate) } }
          : expr;
      default:
        return expr;
    }
  }

  #isDatetime(expr: Expr, related: EntityShape | undefined): boolean {
    if (expr.kind === "now") return true;
    if (expr.kind !== "path") return false;
    if (expr.root === "related") return related?.fields.get(expr.name) === "datetime";
    const isRow = expr.root === "data" || expr.root === "old";
    return (
      isRow &&
      this.#scope.schema.get(this.#scope.entity ?? "")?.fields.get(expr.name) === "datetime"
    );
  }
}

function asDate(expr: Expr): Expr {
  if (expr.kind !== "literal" || typeof expr.value !== "string") return expr;
  return { ...expr, value: normaliseDatetime(expr.value) ?? expr.value };
}
