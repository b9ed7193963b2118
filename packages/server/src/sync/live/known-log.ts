import type { Known, KnownRelated } from "@pylonsync/protocol";
import type { ChangeRecord } from "../../store/store.ts";
import type { Subscription } from "../subscriptions/subscription.ts";

/** Separates the name of the includes of a subscription, in the epoch of its cursors. */
const INCLUDED = "+";

/** The log from a cursor. */
export interface KnownLog {
  /** Identifies the log, and the condition to which cursors belong. */
  readonly epoch: string;
  /** A cursor at this change or later can be continued. */
  readonly after: number;
  readonly end: number;
  readonly records: readonly ChangeRecord[];
}

/** Adds the name of the includes of a subscription to the epoch of its cursors. */
export function withIncludes(epoch: string, { branches, fingerprint }: Subscription): string {
  return branches.length === 0 ? epoch : `${epoch}${INCLUDED}${fingerprint}`;
}

/** The part of an epoch that identifies the log and the condition, without the includes. */
export function conditionOf(epoch: string): string {
  return epoch.split(INCLUDED, 1)[0] ?? "";
}

/** The ids of the related rows that a client claims to have. */
export function knownParts(
  subscription: Subscription,
  { include = {} }: Pick<KnownRelated, "include">,
): Map<Subscription, readonly string[]> {
  const found = new Map<Subscription, readonly string[]>();
  for (const { query, subscription: part } of subscription.branches) {
    const known = Object.hasOwn(include, query.name) ? include[query.name] : undefined;
    if (known === undefined) continue;
    found.set(part, known.ids);
    for (const [inner, ids] of knownParts(part, known)) found.set(inner, ids);
  }
  return found;
}

/** Whether the cursor of a client can be continued. */
export function isKnown(known: Known | undefined, log: KnownLog | null): boolean {
  if (known === undefined || log === null) return false;
  if (conditionOf(known.epoch) !== conditionOf(log.epoch)) return false;
  return known.seq >= log.after && known.seq <= log.end;
}
