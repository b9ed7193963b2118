import {
  and,
  bind,
  compilePredicate,
  conjuncts,
  hasExists,
  mapChildren,
  namesOuter,
  nodesOf,
  path,
  pathsOf,
  type Env,
  type ExistsExpr,
  type Expr,
} from "@pylonsync/query";
import type { Caller } from "../../identity/identity.ts";
import { equalityKeys, keysOf } from "../../policy/audience.ts";
import type { StoredRow, Value } from "../../store/store.ts";

/** A field of related rows that must equal a value of the caller's. */
export interface CallerField {
  readonly field: string;
  readonly authName: keyof Caller;
}

/**
 * One `exists` of a read policy, prepared so that it is answered for many callers from the related
 * rows that one read finds.
 */
export class ExistsPlan {
  readonly entity: string;
  /** Stands for it in the predicates, as a value of `input`. */
  readonly name: string;
  /** The related rows that satisfy it name the callers for whom they do, by this field. */
  readonly callerField: CallerField | null;
  /** An inner `exists` names its rows: the store alone can answer it. */
  readonly isCorrelated: boolean;
  readonly #where: Expr;
  readonly #common: Expr;
  readonly #test: (env: Env) => boolean;

  /** @param where of the `exists`, with the inner ones replaced by their names */
  constructor(node: ExistsExpr, where: Expr, name: string) {
    this.entity = node.entity;
    this.name = name;
    this.isCorrelated = hasExists(where);
    // What depends on the time or on an inner exists is not asked of the store: the test decides.
    const parts = conjuncts(where).filter(
      (part) => pathsOf(part, "input").size === 0 && !readsTime(part),
    );
    this.#where = this.isCorrelated ? where : and(...parts);
    this.#common = and(...parts.filter((part) => pathsOf(part, "auth").size === 0));
    this.callerField = this.isCorrelated
      ? null
      : (parts.map(callerFieldOf).find((found) => found !== null) ?? null);
    // Only rows that satisfy it are found of one that the store answers.
    this.#test = this.isCorrelated ? () => true : compilePredicate(where);
  }

  /**
   * The condition on related rows, as on `data`, that is the same for all callers.
   *
   * @returns null where it would find too many: it names no value
   */
  commonCondition(row: StoredRow): Expr | null {
    if (this.isCorrelated) return null;
    const condition = asData(bind(this.#common, { data: row }));
    return keysOf(condition, (part) => equalityKeys(part, "data")) === null ? null : condition;
  }

  /**
   * The condition on related rows, as on `data`, that they must meet for one caller.
   *
   * @param now the time, as a policy sees it
   */
  callerCondition(row: StoredRow, auth: Caller, now: string): Expr {
    return asData(bind(this.#where, { data: row, auth, ...(this.isCorrelated ? { now } : {}) }));
  }

  /** Whether one of the related rows satisfies it. */
  isMet(related: readonly StoredRow[], env: Env): boolean {
    return related.some((row) => this.#test({ ...env, related: row }));
  }
}

/** A read policy, prepared to be answered for many callers. */
export class RightsPlan {
  /** Inner ones first. */
  readonly exists: readonly ExistsPlan[];
  readonly #byNode: ReadonlyMap<Expr, ExistsPlan>;
  /** Takes the answers of the `exists` by name in `input`. */
  readonly predicate: (env: Env) => boolean;
  readonly rule: Expr;

  constructor(rule: Expr) {
    this.rule = rule;
    const byNode = new Map<Expr, ExistsPlan>();
    const replaced = (expr: Expr): Expr => {
      if (expr.kind === "exists" && namesOuter(expr)) {
        const plan = new ExistsPlan(expr, expr.where, `exists${byNode.size}`);
        byNode.set(expr, plan);
        return path("input", plan.name);
      }
      const mapped = mapChildren(expr, replaced);
      if (expr.kind !== "exists" || mapped.kind !== "exists") return mapped;
      const plan = new ExistsPlan(expr, mapped.where, `exists${byNode.size}`);
      byNode.set(expr, plan);
      return path("input", plan.name);
    };
    this.predicate = compilePredicate(replaced(rule));
    this.#byNode = byNode;
    this.exists = [...byNode.values()];
  }

  /** The plan of a node of `rule`. */
  planOf(node: Expr): ExistsPlan | undefined {
    return this.#byNode.get(node);
  }
}

/** The part of a condition that says: for the callers whose value the related row's field is. */
function callerFieldOf(part: Expr): CallerField | null {
  if (part.kind !== "compare" || part.op !== "==") return null;
  const [auth, related] =
    part.left.kind === "path" && part.left.root === "auth"
      ? [part.left, part.right]
      : [part.right, part.left];
  if (auth.kind !== "path" || auth.root !== "auth" || !isCallerName(auth.name)) return null;
  if (related.kind !== "path" || related.root !== "related") return null;
  return { field: related.name, authName: auth.name };
}

const CALLER_NAMES: Readonly<Record<string, true>> = {
  userId: true,
  tenantId: true,
  apiKeyId: true,
} satisfies Partial<Record<keyof Caller, true>>;

function isCallerName(name: string): name is keyof Caller {
  return Object.hasOwn(CALLER_NAMES, name);
}

/** The caller's value by which related rows name it. */
export function callerValue(caller: Caller, { authName }: CallerField): Value {
  const value = caller[authName];
  return typeof value === "string" ? value : null;
}

/** Whether it is true at one time and false at another, of the same rows. */
export function readsTime(expr: Expr): boolean {
  for (const node of nodesOf(expr)) if (node.kind === "now") return true;
  return false;
}

/** The row that an `exists` looks at, as the row in question. */
function asData(expr: Expr, depth = 0): Expr {
  if (expr.kind === "path" && expr.root === "related" && depth === 0)
    return path("data", expr.name);
  if (expr.kind === "outer" && expr.up === depth) return path("data", expr.name);
  const below = expr.kind === "exists" ? depth + 1 : depth;
  return mapChildren(expr, (child) => asData(child, below));
}
