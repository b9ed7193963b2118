import { bind, compilePredicate, hasExists, TRUE, type Env, type Expr } from "@pylonsync/query";
import type { FieldAccess } from "../policy/field-policies.ts";
import type { Access, PolicySet } from "../policy/policy-set.ts";
import type { Reader, StoredRow } from "../store/store.ts";
import type { Entity } from "../schema/schema.ts";
import { FieldViews } from "./field-views.ts";
import type { Caller } from "../identity/identity.ts";

/** The variables of a rule. The time is formatted only if the rule uses it. */
export class RuleEnv implements Env {
  readonly auth: Caller;
  readonly data: StoredRow;
  readonly old: StoredRow | undefined;
  readonly #now: number;

  /** @param now milliseconds since 1970 */
  constructor(auth: Caller, now: number, data: StoredRow, old?: StoredRow) {
    this.auth = auth;
    this.data = data;
    this.old = old;
    this.#now = now;
  }

  get now(): string {
    return new Date(this.#now).toISOString();
  }
}

const ACCESSES: readonly Access[] = ["read", "insert", "update", "delete"];

interface Rule {
  readonly expr: Expr;
  /** Absent if the rule looks at other rows: then only the store can evaluate it. */
  readonly predicate: ((env: Env) => boolean) | undefined;
}

/**
 * Evaluates the policies: what a caller may read, and whether it may write. An admin may do
 * everything.
 */
export class Rules {
  readonly #policies: PolicySet;
  readonly #compiled = new Map<string, Rule>();
  readonly #views: FieldViews;

  constructor(policies: PolicySet) {
    this.#policies = policies;
    this.#views = new FieldViews(policies);
  }

  /** The entity as the caller sees it: without the fields that it may not read. */
  seenBy(entity: Entity, caller: Caller): Entity {
    return this.#views.of(entity, caller);
  }

  /** Whether the field policies allow the caller to write this field of the rows in `env`. */
  async allowsField(
    reader: Reader,
    { entity, field }: { readonly entity: string; readonly field: string },
    access: Exclude<FieldAccess, "read">,
    env: RuleEnv,
  ): Promise<boolean> {
    const expr = this.#policies.fieldRules(entity, access).get(field);
    if (expr === undefined || env.auth.isAdmin) return true;
    const rule = this.#compiledAs(`${access}:${entity}.${field}`, () => expr);
    return this.#holds(reader, rule, env);
  }

  /**
   * The condition on `data` that a row must meet for the caller to read it, for use in a `where`.
   *
   * @param now ISO 8601; undefined: the condition keeps `now()`
   */
  readable(entity: string, caller: Caller, now: string | undefined): Expr {
    if (caller.isAdmin) return TRUE;
    const { expr } = this.#rule(entity, "read");
    return bind(expr, now === undefined ? { auth: caller } : { auth: caller, now });
  }

  /**
   * Whether the rule is true for the rows in `env`. `reader` is used if the rule looks at other
   * rows.
   */
  async allows(reader: Reader, entity: string, access: Access, env: RuleEnv): Promise<boolean> {
    if (env.auth.isAdmin) return true;
    return this.#holds(reader, this.#rule(entity, access), env);
  }

  async #holds(reader: Reader, { expr, predicate }: Rule, env: RuleEnv): Promise<boolean> {
    if (predicate !== undefined) return predicate(env);
    const bound = bind(expr, env);
    return bound.kind === "literal" ? bound.value === true : reader.test(bound);
  }

  /** The read rule as written, with `auth` unbound. */
  readRule(entity: string): Expr {
    return this.#rule(entity, "read").expr;
  }

  /** The read rule as a function, or undefined if it looks at other rows. */
  readPredicate(entity: string): ((env: Env) => boolean) | undefined {
    return this.#rule(entity, "read").predicate;
  }

  /** Whether no rule of the entity looks at rows other than the one that it is applied to. */
  isLocal(entity: string): boolean {
    const fields = (["insert", "update"] as const).flatMap((access) => [
      ...this.#policies.fieldRules(entity, access).values(),
    ]);
    return (
      ACCESSES.every((access) => this.#rule(entity, access).predicate !== undefined) &&
      !fields.some(hasExists)
    );
  }

  #rule(entity: string, access: Access): Rule {
    return this.#compiledAs(`${access}:${entity}`, () => this.#policies.rule(entity, access));
  }

  #compiledAs(key: string, exprOf: () => Expr): Rule {
    let rule = this.#compiled.get(key);
    if (rule === undefined) {
      const expr = exprOf();
      rule = { expr, predicate: hasExists(expr) ? undefined : compilePredicate(expr) };
      this.#compiled.set(key, rule);
    }
    return rule;
  }
}
