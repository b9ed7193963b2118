import { nodesOf } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { DataModel } from "../data/model.ts";
import { sha256 } from "../util/sha256.ts";

/** A rule with `now()` comes true without a change: a replica is continued this long at most. */
const CLOCK_STEP_MS = 3_600_000;
/** As many digits as tell any two of an app's versions apart, and any two callers. */
const DIGITS = 16;

/** What an app lets its callers read, in short; a reload makes another model. */
interface ReadRules {
  readonly digest: string;
  readonly hasClock: boolean;
}

const known = new WeakMap<DataModel, ReadRules>();

/**
 * What a client's cursor is bound to: the log, and everything that decides what the caller may read
 * and is in no change of it. That is the fields, the read policies, and the values that they see of
 * the caller. A client that kept its replica while any of it changed takes a new snapshot.
 *
 * @param log the epoch of the log itself
 * @param now milliseconds since 1970
 */
export function replicaEpoch(log: string, model: DataModel, caller: Caller, now: number): string {
  const { digest, hasClock } = readRulesOf(model);
  const hour = hasClock ? clockStep(now) : 0;
  return `${log}.${digestOf([digest, hour, valuesOf(caller)])}`;
}

/**
 * Names the time in which what was read by a rule with `now()` can be continued.
 *
 * @param now milliseconds since 1970
 */
export function clockStep(now: number): number {
  return Math.floor(now / CLOCK_STEP_MS);
}

/** Whether a cursor of this epoch can be continued; that of the log alone is an older client's. */
export function isSameEpoch(
  given: string | null,
  log: string,
  model: DataModel,
  caller: Caller,
  now: number,
): boolean {
  return given === null || given === log || given === replicaEpoch(log, model, caller, now);
}

function readRulesOf(model: DataModel): ReadRules {
  let rules = known.get(model);
  if (rules === undefined) {
    const parts = model.schema.entities.map(({ name, publicShape }) => ({
      name,
      fields: [...publicShape.fields],
      policy: model.rules.readRule(name),
      ...closedFields(model, name),
    }));
    rules = {
      digest: digestOf(parts),
      hasClock: parts.some(({ policy }) => [...nodesOf(policy)].some(({ kind }) => kind === "now")),
    };
    known.set(model, rules);
  }
  return rules;
}

/** Of an entity without such policies it is as it was before there were any. */
function closedFields({ policies }: DataModel, entity: string): object {
  const rules = policies.fieldRules(entity, "read");
  return rules.size === 0 ? {} : { closed: [...rules] };
}

/** In one order, however the caller came to be. */
function valuesOf(caller: Caller): readonly unknown[] {
  const { userId, tenantId, roles, isAdmin, isGuest, isTrustedDevice } = caller;
  const { apiKeyId, apiKeyScopes, claims } = caller;
  const rest = [isAdmin, isGuest, isTrustedDevice, apiKeyId, apiKeyScopes];
  // Without claims it is as it was before there were any, so that replicas are continued.
  const named = Object.entries(claims).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [userId, tenantId, roles, ...rest, ...(named.length === 0 ? [] : [named])];
}

function digestOf(value: unknown): string {
  return sha256(JSON.stringify(value)).slice(0, DIGITS);
}
