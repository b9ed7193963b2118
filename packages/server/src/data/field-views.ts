import { compilePredicate } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { PolicySet } from "../policy/policy-set.ts";
import { withoutFields, type Entity } from "../schema/schema.ts";

interface FieldTest {
  readonly field: string;
  readonly test: (env: { readonly auth: Caller }) => boolean;
}

/** Entities as callers see them: without the fields that they may not read. */
export class FieldViews {
  readonly #policies: PolicySet;
  readonly #tests = new WeakMap<Entity, readonly FieldTest[]>();
  /** The views of an entity, by the names of the omitted fields. */
  readonly #views = new WeakMap<Entity, Map<string, Entity>>();

  constructor(policies: PolicySet) {
    this.#policies = policies;
  }

  /** Returns the same object for callers who may read the same fields. */
  of(entity: Entity, caller: Caller): Entity {
    const tests = this.#testsOf(entity);
    if (tests.length === 0 || caller.isAdmin) return entity;
    const env = { auth: caller };
    const closed = tests.filter(({ test }) => !test(env)).map(({ field }) => field);
    if (closed.length === 0) return entity;
    let views = this.#views.get(entity);
    if (views === undefined) this.#views.set(entity, (views = new Map()));
    const key = closed.join();
    let view = views.get(key);
    if (view === undefined) views.set(key, (view = withoutFields(entity, new Set(closed))));
    return view;
  }

  #testsOf(entity: Entity): readonly FieldTest[] {
    let tests = this.#tests.get(entity);
    if (tests === undefined) {
      tests = [...this.#policies.fieldRules(entity.name, "read")].map(([field, rule]) => ({
        field,
        test: compilePredicate(rule),
      }));
      this.#tests.set(entity, tests);
    }
    return tests;
  }
}
