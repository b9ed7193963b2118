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

/** A field of related rows that must equal a value of the caller. */
export interface CallerField {
  readonly field: string;
  readonly authName: keyof Caller;
}

/**
 * An `exists` of a read policy, compiled so that it can be evaluated for many callers on the
 * related rows of a single read.
 */
export class ExistsPlan {
  readonly entity: string;
  /** Represents it in the predicates, as a value of `input`. */
  readonly name: string;
  /**
   * The field by which related rows determine the callers for whom they satisfy it; null if there
   * is none.
   */
  readonly callerField: CallerField | null;
  /** Whether an inner `exists` refers to its rows: then only the store can evaluate it. */
  readonly isCorrelated: boolean;
  readonly #where: Expr;
  readonly #common: Expr;
  readonly #test: (env: Env) => boolean;

  /** @param where the condition of the `exists`, with inner ones replaced by their names */
  constructor(node: ExistsExpr, where: Expr, name: string) {
    this.entity = node.entity;
    this.name = name;
    this.isCorrelated = hasExists(where);
    // Conditions that depend on the time or on an inner exists are not part of the query: the test
    // evaluates them.
    const parts = conjuncts(where).filter(
      (part) => pathsOf(part, "input").size === 0 && !readsTime(part),
    );
    this.#where = this.isCorrelated ? where : and(...parts);
    this.#common = and(...parts.filter((part) => pathsOf(part, "auth").size === 0));
    this.callerField = this.isCorrelated
      ? null
      : (parts.map(callerFieldOf).find((found) => found !== null) ?? null);
    // If the store evaluates it, it returns only rows that satisfy it.
    this.#test = this.isCorrelated ? () => true : compilePredicate(where);
  }

  /**
   * The condition on related rows, as `data`, that is the same for all callers.
   *
   * @returns null if it would match too many rows, because it contains no value
   */
  commonCondition(row: StoredRow): Expr | null {
    if (this.isCorrelated) return null;
    const condition = asData(bind(this.#common, { data: row }));
    return keysOf(condition, (part) => equalityKeys(part, "data")) === null ? null : condition;
  }

  /**
   * The condition on related rows, as `data`, for one caller.
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

/** A read policy, compiled so that it can be evaluated for many callers. */
export class RightsPlan {
  /** Inner ones first. */
  readonly exists: readonly ExistsPlan[];
  readonly #byNode: ReadonlyMap<Expr, ExistsPlan>;
  /** Receives the results of the `exists` by their names in `input`. */
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

/**
 * Returns the caller's value that a part of a condition compares with a field of the related row;
 * null if it is not such a comparison.
 */
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

/** Whether its result depends on the time. */
export function readsTime(expr: Expr): boolean {
  for (const node of nodesOf(expr)) if (node.kind === "now") return true;
  return false;
}

/** Rewrites a condition on the row of an `exists` as one on `data`. */
function asData(expr: Expr, depth = 0): Expr {
  if (expr.kind === "path" && expr.root === "related" && depth === 0)
    return path("data", expr.name);
  if (expr.kind === "outer" && expr.up === depth) return path("data", expr.name);
  const below = expr.kind === "exists" ? depth + 1 : depth;
  return mapChildren(expr, (child) => asData(child, below));
}
