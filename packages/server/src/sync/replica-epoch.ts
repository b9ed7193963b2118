import { nodesOf } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { DataModel } from "../data/model.ts";
import { sha256 } from "../util/sha256.ts";

/**
 * The maximum time for which a replica is continued, in milliseconds: the result of a policy with
 * `now()` can change without a change in the log.
 */
const CLOCK_STEP_MS = 3_600_000;
/** Enough digits to distinguish all versions of an app and all callers. */
const DIGITS = 16;

/** A digest of the read policies of an app; a reload creates another model. */
interface ReadRules {
  readonly digest: string;
  readonly hasClock: boolean;
}

const known = new WeakMap<DataModel, ReadRules>();

/**
 * Returns the epoch to which a client's cursor is bound: the log, and everything that determines
 * what the caller may read and that is not in the changes of the log, namely the fields, the read
 * policies, and the values of the caller that they read. A client whose replica has another epoch
 * loads a new snapshot.
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
 * Returns the number of the time step in which rows that were read by a policy with `now()` can be
 * continued.
 *
 * @param now milliseconds since 1970
 */
export function clockStep(now: number): number {
  return Math.floor(now / CLOCK_STEP_MS);
}

/**
 * Whether a cursor with this epoch is bound to the caller that it was made for. Older clients send
 * none, or the epoch of the log alone.
 */
export function isBoundToCaller(given: string | null, log: string): boolean {
  return given !== null && given !== log;
}

/** Whether a cursor of this epoch can be continued. */
export function isSameEpoch(
  given: string | null,
  log: string,
  model: DataModel,
  caller: Caller,
  now: number,
): boolean {
  return !isBoundToCaller(given, log) || given === replicaEpoch(log, model, caller, now);
}

/** Returns a digest of the fields and read policies of an app. */
export function readRulesDigest(model: DataModel): string {
  return readRulesOf(model).digest;
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

/** Unchanged for entities without such policies, so that existing replicas are continued. */
function closedFields({ policies }: DataModel, entity: string): object {
  const rules = policies.fieldRules(entity, "read");
  return rules.size === 0 ? {} : { closed: [...rules] };
}

/** The values of the caller in a fixed order. */
function valuesOf(caller: Caller): readonly unknown[] {
  const { userId, tenantId, roles, isAdmin, isGuest, isTrustedDevice } = caller;
  const { apiKeyId, apiKeyScopes, claims } = caller;
  const rest = [isAdmin, isGuest, isTrustedDevice, apiKeyId, apiKeyScopes];
  // Unchanged for callers without claims, so that existing replicas are continued.
  const named = Object.entries(claims).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [userId, tenantId, roles, ...rest, ...(named.length === 0 ? [] : [named])];
}

function digestOf(value: unknown): string {
  return sha256(JSON.stringify(value)).slice(0, DIGITS);
}
