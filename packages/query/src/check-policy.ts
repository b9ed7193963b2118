import { normaliseDecimal } from "./decimal.ts";
import { nearest } from "./nearest.ts";
import type { FieldKind } from "./field-kinds.ts";
import type { EntityShape, Expr, OuterExpr, PathExpr, Root, SchemaShape } from "./expr.ts";
import { CLAIM_PREFIX } from "./path-value.ts";
import { normaliseDatetime } from "./datetime.ts";
import { childrenOf } from "./walk.ts";

/** An error in a policy, with its position. */
export interface PolicyProblem {
  readonly message: string;
  /** Offset in the source. */
  readonly position: number;
  readonly hint?: string | undefined;
}

/** The context of a policy, which determines the names that it may use. */
export interface PolicyScope {
  readonly schema: SchemaShape;
  /** The entity of the policy; absent for an action's policy. */
  readonly entity?: string | undefined;
  /** The roots that this rule may read: `old` only for an update, `input` only for an action. */
  readonly roots: readonly Root[];
  /** The parts of the room's name that `room.` may refer to. */
  readonly roomParts?: readonly string[];
}

type Kind =
  | "text"
  | "number"
  | "decimal"
  | "bool"
  | "datetime"
  | "list"
  | "json"
  | "encrypted"
  | "null"
  | "any";

const AUTH: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["userId", "text"],
  ["isAdmin", "bool"],
  ["isGuest", "bool"],
  ["tenantId", "text"],
  ["roles", "list"],
  ["apiKeyId", "text"],
  ["apiKeyScopes", "list"],
  ["isTrustedDevice", "bool"],
]);

const UNORDERED: ReadonlySet<Kind> = new Set<Kind>(["bool", "list", "json", "encrypted", "null"]);

const KINDS: Record<FieldKind, Kind> = {
  string: "text",
  richtext: "text",
  id: "text",
  int: "number",
  float: "number",
  decimal: "decimal",
  bool: "bool",
  datetime: "datetime",
  json: "json",
  array: "json",
  encrypted: "encrypted",
};

/** The entity of an `exists`, and those of the enclosing `exists`. */
export interface RelatedScope {
  readonly shape: EntityShape;
  readonly outer: RelatedScope | undefined;
}

/** The scope `up` levels of `exists` further out. */
export function outerScope(scope: RelatedScope | undefined, up: number): RelatedScope | undefined {
  return up === 0 ? scope : outerScope(scope?.outer, up - 1);
}

/** Checks names and kinds. An empty result means that the policy is valid. */
export function checkPolicy(expr: Expr, scope: PolicyScope): PolicyProblem[] {
  const checker = new PolicyChecker(scope);
  checker.condition(expr, undefined);
  return checker.problems;
}

class PolicyChecker {
  readonly problems: PolicyProblem[] = [];
  readonly #scope: PolicyScope;

  constructor(scope: PolicyScope) {
    this.#scope = scope;
  }

  /** @param related the entity of the innermost `exists` */
  condition(expr: Expr, related: RelatedScope | undefined): void {
    switch (expr.kind) {
      case "and":
      case "or":
      case "not":
        for (const child of childrenOf(expr)) this.condition(child, related);
        return;
      case "exists": {
        const entity = this.#scope.schema.get(expr.entity);
        if (entity === undefined)
          this.#unknown(
            expr,
            `There is no entity "${expr.entity}".`,
            expr.entity,
            this.#scope.schema.keys(),
          );
        else this.condition(expr.where, { shape: entity, outer: related });
        return;
      }
      case "compare":
        this.#compare(expr.op, expr.left, expr.right, related);
        return;
      case "in":
        this.#membership(expr.item, expr.list, related);
        return;
      case "contains":
        this.#texts(expr.text, expr.part, related);
        return;
      case "startsWith":
        this.#texts(expr.text, expr.prefix, related);
        return;
      default: {
        const kind = this.#kindOf(expr, related);
        if (kind !== "bool" && kind !== "any")
          this.#problem(
            expr,
            "This is not a condition: it is neither true nor false.",
            "Compare it with something.",
          );
      }
    }
  }

  #compare(op: string, left: Expr, right: Expr, related: RelatedScope | undefined): void {
    this.#refuseItself(left, right, related);
    const a = this.#kindOf(left, related);
    const b = this.#kindOf(right, related);
    if (a === "encrypted" || b === "encrypted") {
      this.#encrypted(op, left, a === "encrypted" ? b : a);
      return;
    }
    const isOrdering = op !== "==" && op !== "!=";
    const unordered = [a, b].find((kind) => UNORDERED.has(kind));
    if (isOrdering && unordered !== undefined) {
      this.#problem(left, `A ${unordered} can't be ordered.`);
      return;
    }
    if (a === "list" || b === "list") {
      this.#problem(left, "A list is never equal to anything.", "Use `in` or `contains`.");
      return;
    }
    if (a === "json" && b === "json") {
      this.#problem(left, "A json or an array can only be compared with null.");
      return;
    }
    if (!areAlike(a, left, b, right))
      this.#problem(left, `A ${a} is compared with a ${b}: they are never equal.`);
  }

  /** The server compares stored values, and nothing can be compared with an encrypted one. */
  #encrypted(op: string, left: Expr, other: Kind): void {
    if (other === "null" && (op === "==" || op === "!=")) return;
    this.#problem(
      left,
      "An encrypted field can only be compared with null.",
      "Store what policies compare in another field.",
    );
  }

  /**
   * Rejects a comparison of a column with itself: it has no effect, and its author meant a column
   * of another row. `exists(Member, teamId == teamId)` would admit a member of any team.
   */
  #refuseItself(left: Expr, right: Expr, related: RelatedScope | undefined): void {
    if (left.kind !== "path" || right.kind !== "path") return;
    if (left.root !== right.root || left.name !== right.name) return;
    const { root, name } = left;
    if (root !== "related") {
      this.#problem(
        left,
        `${root}.${name} is compared with itself, which has no effect.`,
        "Compare it with another field, with auth. or with a value.",
      );
      return;
    }
    const about = this.#scope.schema.get(this.#scope.entity ?? "");
    const inner = related?.shape.name ?? "the entity";
    const advice = about?.fields.has(name) === true ? `: write ${name} == data.${name}` : "";
    const outer =
      about === undefined
        ? ""
        : ` \`data.\` is the row that the policy is about (${about.name})${advice}.`;
    this.#problem(
      left,
      `${name} is compared with itself: on both sides it is ${inner}.${name}, so it has no effect.`,
      `Inside exists(${inner}, ...) a bare name is a field of ${inner}.${outer}`,
    );
  }

  #membership(item: Expr, list: Expr, related: RelatedScope | undefined): void {
    const kind = this.#kindOf(item, related);
    if (kind === "list" || kind === "json" || kind === "encrypted" || kind === "null") {
      this.#problem(
        item,
        `${kind === "encrypted" ? "An encrypted field" : `A ${kind}`} is never in a list.`,
        kind === "null" ? "Compare with null using ==." : undefined,
      );
      return;
    }
    if (list.kind === "list") {
      for (const entry of list.items) {
        this.#refuseItself(item, entry, related);
        if (!areAlike(kind, item, this.#kindOf(entry, related), entry))
          this.#problem(entry, `A ${kind} is never in a list of other values.`);
      }
      return;
    }
    const listKind = this.#kindOf(list, related);
    if (listKind === "any") return;
    if (listKind !== "list")
      this.#problem(list, '`in` must be followed by a list: ["a", "b"] or auth.roles.');
    else if (kind !== "text" && kind !== "any")
      this.#problem(item, `The lists of auth contain texts, but this is a ${kind}.`);
  }

  #texts(text: Expr, part: Expr, related: RelatedScope | undefined): void {
    this.#refuseItself(text, part, related);
    for (const side of [text, part]) {
      const kind = this.#kindOf(side, related);
      if (kind !== "text" && kind !== "any")
        this.#problem(side, `\`contains\` requires texts, but this is a ${kind}.`);
    }
  }

  #kindOf(expr: Expr, related: RelatedScope | undefined): Kind {
    switch (expr.kind) {
      case "literal":
        return expr.value === null
          ? "null"
          : typeof expr.value === "string"
            ? "text"
            : typeof expr.value === "number"
              ? "number"
              : "bool";
      case "now":
        return "datetime";
      case "list":
        return "list";
      case "path":
        return this.#pathKind(expr, related);
      case "outer":
        return this.#fieldKind(expr, outerScope(related, expr.up)?.shape);
      default:
        this.condition(expr, related);
        return "bool";
    }
  }

  #pathKind(expr: PathExpr, related: RelatedScope | undefined): Kind {
    const { root, name } = expr;
    if (root === "auth") {
      if (name.startsWith(CLAIM_PREFIX)) return "any";
      const kind = AUTH.get(name);
      if (kind === undefined) this.#unknown(expr, `auth has no "${name}".`, name, AUTH.keys());
      return kind ?? "any";
    }
    if (root === "related") return this.#fieldKind(expr, related?.shape);
    if (!this.#scope.roots.includes(root)) {
      this.#problem(
        expr,
        `"${root}." can't be used here.`,
        root === "old"
          ? "Only an update has an old row."
          : `Use ${this.#scope.roots.map((known) => `${known}.`).join(", ")}`,
      );
      return "any";
    }
    if (root === "input") return "any";
    if (root === "room") return this.#roomPart(expr);
    return this.#fieldKind(expr, this.#scope.schema.get(this.#scope.entity ?? ""));
  }

  #roomPart(expr: PathExpr): Kind {
    const parts = this.#scope.roomParts ?? [];
    if (!parts.includes(expr.name))
      this.#unknown(expr, `The room's name has no part ":${expr.name}".`, expr.name, parts);
    return "text";
  }

  #fieldKind(expr: PathExpr | OuterExpr, entity: EntityShape | undefined): Kind {
    const kind = entity?.fields.get(expr.name);
    if (kind !== undefined) return KINDS[kind];
    this.#unknown(
      expr,
      `${entity?.name ?? "The entity"} has no field "${expr.name}".`,
      expr.name,
      entity?.fields.keys() ?? [],
    );
    return "any";
  }

  #unknown(expr: Expr, message: string, name: string, known: Iterable<string>): void {
    const meant = nearest(name, known);
    this.#problem(expr, message, meant === undefined ? undefined : `Did you mean "${meant}"?`);
  }

  #problem(expr: Expr, message: string, hint?: string): void {
    this.problems.push({ message, position: expr.at ?? 0, hint });
  }
}

/**
 * Any value can be compared with null; a date may be written as text, a decimal also as a number.
 */
function areAlike(a: Kind, left: Expr, b: Kind, right: Expr): boolean {
  if (a === b || a === "any" || b === "any" || a === "null" || b === "null") return true;
  return isWrittenFor(a, right) || isWrittenFor(b, left);
}

function isWrittenFor(kind: Kind, expr: Expr): boolean {
  if (kind === "decimal")
    return expr.kind === "literal" && normaliseDecimal(expr.value) !== undefined;
  return kind === "datetime" && isDateText(expr);
}

function isDateText(expr: Expr): boolean {
  return (
    expr.kind === "literal" &&
    typeof expr.value === "string" &&
    normaliseDatetime(expr.value) !== undefined
  );
}
