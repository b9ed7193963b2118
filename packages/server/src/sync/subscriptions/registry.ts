import { sha256 } from "../../util/sha256.ts";
import {
  and,
  bind,
  conjuncts,
  hasExists,
  isFalse,
  isTrue,
  nodesOf,
  TRUE,
  type Expr,
} from "@pylonsync/query";
import type { Caller } from "../../identity/identity.ts";
import type { DataModel } from "../../data/model.ts";
import { equalityKeys, keysOf } from "../../policy/audience.ts";
import { mayAffect } from "../../policy/rewind.ts";
import type { ChangeRecord, StoredRow, Value } from "../../store/store.ts";
import type { RowFacts } from "../related/row-facts.ts";
import { callerValue, RightsPlan, type ExistsPlan } from "../related/rights-plan.ts";
import { KeyedWindow } from "./keyed-window.ts";
import {
  Subscription,
  type BranchQuery,
  type SubscriptionKey,
  type SubscriptionQuery,
} from "./subscription.ts";
import { ValueIndex } from "./value-index.ts";
import { Window } from "./window.ts";

/** The subscriptions of one entity, by the values that a row must have to be in them. */
class EntityIndex {
  readonly #byValue = new ValueIndex<Subscription>();
  readonly #byRelated = new Map<ExistsPlan, Map<Value, Set<Subscription>>>();

  add(subscription: Subscription): void {
    this.#byValue.add(rowKeys(subscription.keys), subscription);
    for (const key of subscription.keys ?? []) {
      if (!("exists" in key)) continue;
      const values = this.#byRelated.get(key.exists) ?? new Map<Value, Set<Subscription>>();
      this.#byRelated.set(key.exists, values);
      values.set(key.value, (values.get(key.value) ?? new Set()).add(subscription));
    }
  }

  delete(subscription: Subscription): void {
    this.#byValue.delete(rowKeys(subscription.keys), subscription);
    for (const key of subscription.keys ?? []) {
      if (!("exists" in key)) continue;
      const values = this.#byRelated.get(key.exists);
      const found = values?.get(key.value);
      if (found?.delete(subscription) === true && found.size === 0) values?.delete(key.value);
      if (values?.size === 0) this.#byRelated.delete(key.exists);
    }
  }

  find(row: StoredRow, facts: RowFacts | null, found: Set<Subscription>): void {
    this.#byValue.find(row, found);
    for (const [exists, values] of this.#byRelated) {
      const { callerField } = exists;
      const named = facts?.namedBy(exists) ?? null;
      if (named === null || callerField === null) {
        for (const group of values.values()) for (const one of group) found.add(one);
        continue;
      }
      for (const value of named.by(callerField.field).keys())
        for (const one of values.get(value) ?? []) found.add(one);
    }
  }
}

/** The `exists` of conditions; equal ones share their results. */
class FilterPlans {
  readonly #uses = new Map<string, { readonly plan: RightsPlan; users: number }>();

  /** @returns null if it reads no other rows */
  acquire(where: Expr): RightsPlan | null {
    const asked = and(...conjuncts(where).filter(hasExists));
    if (isTrue(asked)) return null;
    const key = JSON.stringify(asked);
    const use = this.#uses.get(key) ?? { plan: new RightsPlan(asked), users: 0 };
    this.#uses.set(key, use);
    use.users += 1;
    return use.plan;
  }

  release(where: Expr): void {
    const asked = and(...conjuncts(where).filter(hasExists));
    if (isTrue(asked)) return;
    const key = JSON.stringify(asked);
    const use = this.#uses.get(key);
    if (use === undefined) return;
    use.users -= 1;
    if (use.users === 0) this.#uses.delete(key);
  }

  clear(): void {
    this.#uses.clear();
  }
}

/**
 * All subscriptions of this server: equal ones are shared, and those that a change can affect are
 * found by an index.
 */
export class SubscriptionRegistry {
  #model: DataModel;
  readonly #byFingerprint = new Map<string, Subscription>();
  #byEntity = new Map<string, EntityIndex>();
  /** By the entity that their policies and filters read with `exists`. */
  #byRelated = new Map<string, ValueIndex<Subscription>>();
  /** Those to related rows, by the keys of their parents. */
  #byParent = new Map<string, ValueIndex<Subscription>>();
  #rights = new Map<string, RightsPlan>();
  readonly #asked = new FilterPlans();
  #numbers = 0;

  constructor(model: DataModel) {
    this.#model = model;
  }

  get size(): number {
    return this.#byFingerprint.size;
  }

  /** Forgets all subscriptions, for a model with other policies. */
  reset(model: DataModel): void {
    this.#model = model;
    this.#byFingerprint.clear();
    this.#byEntity = new Map();
    this.#byRelated = new Map();
    this.#byParent = new Map();
    this.#rights = new Map();
    this.#asked.clear();
  }

  /** Sets another model with the same entities and policies. */
  setModel(model: DataModel): void {
    this.#model = model;
  }

  rightsOf(entity: string): RightsPlan {
    let plan = this.#rights.get(entity);
    if (plan === undefined) {
      plan = new RightsPlan(this.#model.policies.rule(entity, "read"));
      this.#rights.set(entity, plan);
    }
    return plan;
  }

  /** Returns a number that no other subscription, of rows or functions, has had. */
  nextNumber(): number {
    return (this.#numbers += 1);
  }

  /**
   * Returns the subscription for a query of a caller, shared with callers that have the same
   * permissions and query. It exists until it is released without members.
   */
  acquire(query: SubscriptionQuery, caller: Caller): Subscription {
    const rights = this.rightsOf(query.entity);
    const truth = this.#truthOf(query, caller);
    const fingerprint = this.#fingerprint(query, truth, caller);
    const known = this.#byFingerprint.get(fingerprint);
    if (known !== undefined) return known;
    const { limit, order, branches = [] } = query;
    const subscription = new Subscription({
      number: this.nextNumber(),
      fingerprint,
      knownUnder:
        limit === undefined ? fingerprint : this.#hash(query.entity, caller, [truth, "window"]),
      query,
      caller,
      truth,
      rights,
      asked: this.#asked.acquire(query.where),
      visible: this.#model.entityFor(query.entity, caller).visible,
      window: limit === undefined ? null : new Window(order, limit, keysOfBranches(branches)),
      keys: keysFor(query.where, rights, caller),
    });
    this.#add(subscription);
    entryOf(this.#byEntity, query.entity, () => new EntityIndex()).add(subscription);
    this.#grow(subscription, branches, subscription);
    return subscription;
  }

  /** Creates the subscriptions to related rows. */
  #grow(parent: Subscription, queries: readonly BranchQuery[], root: Subscription): void {
    for (const query of queries) {
      const { name, field, order, limit, branches } = query;
      const rows = new KeyedWindow({ field, order, limit, kept: keysOfBranches(branches) });
      const fingerprint = `${parent.fingerprint}.${name}`;
      const subscription = new Subscription({
        number: this.nextNumber(),
        fingerprint,
        knownUnder: fingerprint,
        query: { ...query, limit: undefined },
        caller: root.caller,
        truth: this.#truthOf(query, root.caller),
        rights: this.rightsOf(query.entity),
        asked: this.#asked.acquire(query.where),
        visible: this.#model.entityFor(query.entity, root.caller).visible,
        window: null,
        keys: null,
        branch: { root, rows, field },
      });
      this.#add(subscription);
      parent.branches.push({ query, subscription, rows });
      this.#grow(subscription, branches, root);
    }
  }

  /** For related rows: from now on, rows with this value can be in the subscription. */
  watchKey(subscription: Subscription, value: Value): void {
    const { entity, parentField } = subscription;
    if (parentField === null || typeof value === "object") return;
    entryOf(this.#byParent, entity, () => new ValueIndex<Subscription>()).add(
      [{ field: parentField, value }],
      subscription,
    );
  }

  /** Reverts `watchKey`. */
  unwatchKey(subscription: Subscription, value: Value): void {
    const { entity, parentField } = subscription;
    if (parentField === null || typeof value === "object") return;
    this.#byParent.get(entity)?.delete([{ field: parentField, value }], subscription);
  }

  #truthOf({ entity, where }: SubscriptionQuery, caller: Caller): Expr {
    const readable = caller.isAdmin ? TRUE : bind(this.rightsOf(entity).rule, { auth: caller });
    return and(readable, where);
  }

  #add(subscription: Subscription): void {
    this.#byFingerprint.set(subscription.fingerprint, subscription);
    for (const { entity, keys } of relatedKeys(subscription.truth))
      entryOf(this.#byRelated, entity, () => new ValueIndex<Subscription>()).add(
        keys,
        subscription,
      );
  }

  #delete(subscription: Subscription): void {
    this.#byFingerprint.delete(subscription.fingerprint);
    this.#asked.release(subscription.query.where);
    for (const { entity, keys } of relatedKeys(subscription.truth))
      this.#byRelated.get(entity)?.delete(keys, subscription);
  }

  /** Deletes the subscription if it is not used any longer. */
  release(subscription: Subscription): void {
    if (!subscription.isUnused) return;
    if (this.#byFingerprint.get(subscription.fingerprint) !== subscription) return;
    this.#byEntity.get(subscription.entity)?.delete(subscription);
    for (const part of subscription.parts) {
      this.#delete(part);
      for (const key of part.related?.keys ?? []) this.unwatchKey(part, key);
    }
  }

  /** Adds to `found` the subscriptions that a row can be in. */
  find(
    entity: string,
    row: StoredRow | null,
    facts: RowFacts | null,
    found: Set<Subscription>,
  ): void {
    if (row === null) return;
    this.#byEntity.get(entity)?.find(row, facts, found);
    this.#byParent.get(entity)?.find(row, found);
  }

  /** The subscriptions whose policies or filters read, with `exists`, what has changed in a row. */
  findDependent(change: ChangeRecord): Set<Subscription> {
    const found = new Set<Subscription>();
    const index = this.#byRelated.get(change.entity);
    index?.find(change.before, found);
    index?.find(change.after, found);
    for (const one of found) if (!mayAffect(one.truth, change)) found.delete(one);
    return found;
  }

  /** All subscriptions of the entity, and those whose policies or filters read it. */
  *concernedBy(entity: string): Generator<Subscription> {
    for (const subscription of this.#byFingerprint.values())
      if (
        subscription.entity === entity ||
        relatedKeys(subscription.truth).some((related) => related.entity === entity)
      )
        yield subscription;
  }

  #fingerprint(
    { entity, order, limit, branches = [] }: SubscriptionQuery,
    truth: Expr,
    caller: Caller,
  ): string {
    const added = branches.map((branch) => [
      branch.name,
      branch.key,
      branch.field,
      this.#fingerprint(branch, this.#truthOf(branch, caller), caller),
    ]);
    return this.#hash(entity, caller, [truth, order, limit ?? null, ...added]);
  }

  #hash(entity: string, caller: Caller, rest: readonly unknown[]): string {
    const fields = [...this.#model.entityFor(entity, caller).publicShape.fields.keys()];
    return sha256(JSON.stringify([entity, fields, ...rest])).slice(0, 32);
  }
}

function entryOf<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

/** The fields of a row that refer to related rows. */
function keysOfBranches(branches: readonly BranchQuery[]): string[] {
  return branches.map(({ key }) => key);
}

/** The keys by which the row itself is looked up. */
function rowKeys(keys: Subscription["keys"]): ReturnType<typeof equalityKeys> {
  return keys?.filter((key) => "field" in key) ?? null;
}

/** The keys of the rows of a subscription, from the query's condition or the policy. */
function keysFor(where: Expr, rights: RightsPlan, caller: Caller): Subscription["keys"] {
  const leaf = (part: Expr): readonly SubscriptionKey[] | null => {
    const exists = rights.planOf(part);
    if (exists === undefined) return equalityKeys(part, "data", caller);
    if (exists.callerField === null) return null;
    const value = callerValue(caller, exists.callerField);
    return value === null ? [] : [{ exists, value }];
  };
  const asked = keysOf(where, leaf);
  const allowed = caller.isAdmin ? null : keysOf(rights.rule, leaf);
  if (asked === null || allowed === null) return asked ?? allowed;
  // A value of the query is found without reading related rows.
  return allowed.some((key) => "exists" in key) || asked.length <= allowed.length ? asked : allowed;
}

/** The keys of the related rows that can affect a bound condition, by entity. */
function relatedKeys(
  truth: Expr,
): { readonly entity: string; readonly keys: ReturnType<typeof equalityKeys> }[] {
  const found: { entity: string; keys: ReturnType<typeof equalityKeys> }[] = [];
  for (const node of nodesOf(truth)) {
    if (node.kind !== "exists" || isFalse(node.where)) continue;
    const keys = keysOf(node.where, (part) => equalityKeys(part, "related"));
    found.push({ entity: node.entity, keys });
  }
  return found;
}
