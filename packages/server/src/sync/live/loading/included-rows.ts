import { MAX_RESULT_BYTES } from "@pylonsync/protocol";
import type { ChangeRecord, StoredRow } from "../../../store/store.ts";
import type { DeliveryQueue } from "../../delivery-queue.ts";
import { PositionPassed } from "../../position-reader.ts";
import type { Subscription } from "../../subscriptions/subscription.ts";
import type { IncludeTrees } from "../include-trees.ts";
import { isKnown, knownParts, type Cursors, type KnownLog } from "./cursors.ts";
import type { Joiner } from "./joiner.ts";
import { readerFor, type ReaderOptions } from "./reader-for.ts";
import { sendRows, type MayStay } from "./send-rows.ts";

/** The dependencies of IncludedRows. */
export interface IncludedRowsOptions extends ReaderOptions {
  readonly queue: DeliveryQueue;
  readonly trees: IncludeTrees;
  readonly cursors: Cursors;
  readonly mayStay: MayStay;
}

/** Sends the related rows that a subscription includes. */
export class IncludedRows {
  readonly #options: IncludedRowsOptions;

  constructor(options: IncludedRowsOptions) {
    this.#options = options;
  }

  /**
   * For use in a step of the queue, after the rows that refer to them were sent.
   *
   * @returns false if the rows change too fast, so that everything must be read again
   */
  async send(
    subscription: Subscription,
    joiners: readonly Joiner[],
    log: KnownLog | null,
  ): Promise<boolean> {
    const { trees, queue, cursors, mayStay } = this.#options;
    const known = new Map<Joiner, ReadonlyMap<Subscription, readonly string[]>>();
    for (const joiner of joiners)
      if (isKnown(joiner.known, log) && joiner.known?.epoch === cursors.epochOf(subscription))
        known.set(joiner, knownParts(subscription, joiner.known));
    try {
      const parts = await trees.begin(subscription, readerFor(this.#options, joiners));
      // Including the changes that were committed while the rows were read.
      const later =
        known.size > 0 && log
          ? await queue.changes(log.end, queue.position, MAX_RESULT_BYTES)
          : null;
      const records = later === null ? null : [...(log?.records ?? []), ...later];
      for (const { subscription: part, rows } of parts) {
        const fresh: Joiner[] = [];
        for (const joiner of joiners) {
          const ids = known.get(joiner)?.get(part);
          if (ids === undefined || records === null) fresh.push(joiner);
          else await this.#continue(part, joiner, { rows, ids, records });
        }
        await sendRows(part, fresh, { reset: true, rows }, mayStay);
      }
      return true;
    } catch (error) {
      if (error instanceof PositionPassed) return false;
      throw error;
    }
  }

  /** Sends a returning client the related rows whose current state it lacks. */
  async #continue(
    part: Subscription,
    joiner: Joiner,
    {
      rows,
      ids,
      records,
    }: {
      readonly rows: readonly StoredRow[];
      readonly ids: readonly string[];
      readonly records: readonly ChangeRecord[];
    },
  ): Promise<void> {
    const since = joiner.known?.seq ?? 0;
    const kept = new Set(ids);
    for (const { entity, rowId, seq } of records)
      if (entity === part.entity && seq > since) kept.delete(rowId);
    const shown = new Set(rows.map(({ id }) => id));
    const changed = rows.filter(({ id }) => !kept.has(id));
    const gone = ids.filter((id) => !shown.has(id));
    if (changed.length + gone.length > 0)
      await sendRows(part, [joiner], { rows: changed, gone }, this.#options.mayStay);
  }
}
