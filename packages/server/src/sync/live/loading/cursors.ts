import { MAX_RESULT_BYTES, type Known, type KnownRelated } from "@pylonsync/protocol";
import { isFalse } from "@pylonsync/query";
import { reachOf } from "../../../policy/rewind.ts";
import type { ChangeRecord } from "../../../store/store.ts";
import type { DeliveryQueue } from "../../delivery-queue.ts";
import { readsTime } from "../../related/rights-plan.ts";
import { clockStep } from "../../replica-epoch.ts";
import type { SubscriptionRegistry } from "../../subscriptions/registry.ts";
import type { Subscription } from "../../subscriptions/subscription.ts";
import type { Joiner } from "./joiner.ts";

/** The maximum number of changes to catch up on; beyond that, the client receives all rows. */
const MAX_CONTINUED = 5_000;
/** Separates the name of the includes of a subscription, in the epoch of its cursors. */
const INCLUDED = "+";

/** The dependencies of Cursors. */
export interface CursorsOptions {
  readonly queue: DeliveryQueue;
  readonly registry: SubscriptionRegistry;
  readonly now: () => number;
}

/** The log from a cursor. */
export interface KnownLog {
  /** Identifies the log, and the condition to which cursors belong. */
  readonly epoch: string;
  /** A cursor at this change or later can be continued. */
  readonly after: number;
  readonly end: number;
  readonly records: readonly ChangeRecord[];
}

/**
 * The cursors of returning clients: what identifies them, and the log since those that can be
 * continued.
 */
export class Cursors {
  readonly #options: CursorsOptions;

  constructor(options: CursorsOptions) {
    this.#options = options;
  }

  /**
   * Identifies the log and the condition to which a cursor belongs, the hour if the condition reads
   * the time, and the includes.
   */
  epochOf(subscription: Subscription): string {
    const { queue, now } = this.#options;
    const { knownUnder, truth } = subscription;
    const hour = readsTime(truth) ? `.${clockStep(now())}` : "";
    return withIncludes(`${queue.epoch}.${knownUnder}${hour}`, subscription);
  }

  /**
   * Reads the log since the oldest cursor that can be continued.
   *
   * @returns null if there is none
   */
  async logFor(
    subscription: Subscription,
    joiners: readonly Joiner[],
    end: number,
  ): Promise<KnownLog | null> {
    const { queue, registry, now } = this.#options;
    const epoch = this.epochOf(subscription);
    const cursors = joiners.flatMap(({ known }) =>
      known !== undefined &&
      conditionOf(known.epoch) === conditionOf(epoch) &&
      known.seq <= end &&
      end - known.seq <= MAX_CONTINUED
        ? [known.seq]
        : [],
    );
    if (cursors.length === 0) return null;
    const after = Math.min(...cursors);
    const records = await queue.changes(after, end, MAX_RESULT_BYTES);
    if (records === null) return null;
    const truth = subscription.truthAt(now());
    // Rows may have entered and left only because permissions changed.
    const moved = records.findLast(
      (record) =>
        registry.findDependent(record).has(subscription) && !isFalse(reachOf(truth, record)),
    );
    return { epoch, after: Math.max(after, moved?.seq ?? 0), end, records };
  }
}

/** Whether the cursor of a client can be continued. */
export function isKnown(known: Known | undefined, log: KnownLog | null): boolean {
  if (known === undefined || log === null) return false;
  if (conditionOf(known.epoch) !== conditionOf(log.epoch)) return false;
  return known.seq >= log.after && known.seq <= log.end;
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

/** Adds the name of the includes of a subscription to the epoch of its cursors. */
function withIncludes(epoch: string, { branches, fingerprint }: Subscription): string {
  return branches.length === 0 ? epoch : `${epoch}${INCLUDED}${fingerprint}`;
}

/**
 * The part of an epoch that identifies the log and the condition, without the includes: if only
 * those differ, the rows of the query itself can be continued.
 */
function conditionOf(epoch: string): string {
  return epoch.split(INCLUDED, 1)[0] ?? "";
}
