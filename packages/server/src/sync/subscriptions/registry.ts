import { sha256 } from "../../util/sha256.ts";
import { and, bind, isFalse, nodesOf, TRUE, type Expr } from "@pylonsync/query";
import type { Caller } from "../../identity/identity.ts";
import type { DataModel } from "../../data/model.ts";
import { equalityKeys, keysOf } from "../../policy/audience.ts";
import type { ChangeRecord, StoredRow, Value } from "../../store/store.ts";
import type { RowFacts } from "../related/row-facts.ts";
import { callerValue, RightsPlan, type ExistsPlan } from "../related/rights-plan.ts";
import { Subscription, type SubscriptionKey, type SubscriptionQuery } from "./subscription.ts";
import { ValueIndex } from "./value-index.ts";
import { Window } from "./window.ts";

/** The subscriptions of one entity, by what a row must have to be in them. */
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

/**
 * All subscriptions of this server: equal ones are one, and those that a change can concern are
 * found without a look at the others.
 */
export class SubscriptionRegistry {
  #model: DataModel;
  readonly #byFingerprint = new Map<string, Subscription>();
  #byEntity = new Map<string, EntityIndex>();
  /** By the entity that their policies look at by `exists`. */
  #byRelated = new Map<string, ValueIndex<Subscription>>();
  #rights = new Map<string, RightsPlan>();
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
    this.#rights = new Map();
  }

  /** The model again, with the same entities and policies. */
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

  /** A number for a subscription, rows' or another's, that no other one has had. */
  nextNumber(): number {
    return (this.#numbers += 1);
  }

  /**
   * The subscription for a query of a caller, which is there already when somebody with the same
   * rights asks the same. It is kept until it is released without members.
   */
  acquire(query: SubscriptionQuery, caller: Caller): Subscription {
    const rights = this.rightsOf(query.entity);
    const readable = caller.isAdmin ? TRUE : bind(rights.rule, { auth: caller });
    const truth = and(readable, query.where);
    const fingerprint = this.#fingerprint(query, truth);
    const known = this.#byFingerprint.get(fingerprint);
    if (known !== undefined) return known;
    const { limit, order } = query;
    const subscription = new Subscription({
      number: this.nextNumber(),
      fingerprint,
      knownUnder: limit === undefined ? fingerprint : this.#hash(query.entity, truth, ["window"]),
      query,
      caller,
      truth,
      rights,
      window: limit === undefined ? null : new Window(order, limit),
      keys: keysFor(query.where, rights, caller),
    });
    this.#byFingerprint.set(fingerprint, subscription);
    entryOf(this.#byEntity, query.entity, () => new EntityIndex()).add(subscription);
    for (const { entity, keys } of relatedKeys(truth))
      entryOf(this.#byRelated, entity, () => new ValueIndex<Subscription>()).add(
        keys,
        subscription,
      );
    return subscription;
  }

  /** Forgets the subscription when nobody is left. */
  release(subscription: Subscription): void {
    if (!subscription.isUnused) return;
    if (this.#byFingerprint.get(subscription.fingerprint) !== subscription) return;
    this.#byFingerprint.delete(subscription.fingerprint);
    this.#byEntity.get(subscription.entity)?.delete(subscription);
    for (const { entity, keys } of relatedKeys(subscription.truth))
      this.#byRelated.get(entity)?.delete(keys, subscription);
  }

  /** Adds to `found` the subscriptions that a row can be in. */
  find(
    entity: string,
    row: StoredRow | null,
    facts: RowFacts | null,
    found: Set<Subscription>,
  ): void {
    if (row !== null) this.#byEntity.get(entity)?.find(row, facts, found);
  }

  /** The subscriptions whose policies look at a changed row by `exists`. */
  findDependent({ entity, before, after }: ChangeRecord): Set<Subscription> {
    const found = new Set<Subscription>();
    const index = this.#byRelated.get(entity);
    index?.find(before, found);
    index?.find(after, found);
    return found;
  }

  /** All subscriptions of the entity, and all whose policies look at it. */
  *concernedBy(entity: string): Generator<Subscription> {
    for (const subscription of this.#byFingerprint.values())
      if (
        subscription.entity === entity ||
        relatedKeys(subscription.truth).some((related) => related.entity === entity)
      )
        yield subscription;
  }

  #fingerprint({ entity, order, limit }: SubscriptionQuery, truth: Expr): string {
    return this.#hash(entity, truth, [order, limit ?? null]);
  }

  #hash(entity: string, truth: Expr, rest: readonly unknown[]): string {
    const fields = [...this.#model.entity(entity).publicShape.fields.keys()];
    return sha256(JSON.stringify([entity, fields, truth, ...rest])).slice(0, 32);
  }
}

function entryOf<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

/** Those by which the row itself is looked up. */
function rowKeys(keys: Subscription["keys"]): ReturnType<typeof equalityKeys> {
  return keys?.filter((key) => "field" in key) ?? null;
}

/** What a row must have to be in the subscription: of the query's condition or of the policy. */
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
  // A value that was asked for is found without a look at related rows.
  return allowed.some((key) => "exists" in key) || asked.length <= allowed.length ? asked : allowed;
}

/** What a related row must have to bear on a bound condition, by its entity. */
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
