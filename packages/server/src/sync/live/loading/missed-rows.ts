import type { ChangeRecord, StoredRow } from "../../../store/store.ts";
import type { Subscription } from "../../subscriptions/subscription.ts";
import { changedRows, type ChangedRowsOptions } from "./changed-rows.ts";
import type { KnownLog } from "./cursors.ts";
import type { Joiner } from "./joiner.ts";
import type { Load } from "./load.ts";
import { sendRows, type MayStay } from "./send-rows.ts";

/** The dependencies of MissedRows. */
export interface MissedRowsOptions extends ChangedRowsOptions {
  readonly mayStay: MayStay;
}

/**
 * Sends what a returning client has missed of a subscription without a limit. The log says which
 * rows changed, and the client receives each in its current state: it must not see past versions.
 */
export class MissedRows {
  readonly #options: MissedRowsOptions;

  constructor(options: MissedRowsOptions) {
    this.#options = options;
  }

  /** For use in a step of the queue. @param log the log that contains the joiner's cursor */
  async send(
    subscription: Subscription,
    { connection, known }: Joiner,
    load: Load,
    log: KnownLog | null,
  ): Promise<void> {
    const { delivery, mayStay } = this.#options;
    const states = await changedRows(this.#options, subscription, load);
    const rows: StoredRow[] = [];
    const gone: string[] = [];
    const histories = new Map<string, ChangeRecord[]>();
    for (const record of log?.records ?? [])
      if (record.entity === subscription.entity && record.seq > (known?.seq ?? 0))
        histories.set(record.rowId, [...(histories.get(record.rowId) ?? []), record]);
    for (const [id, records] of histories) {
      // The feed has delivered a newer state.
      if (states.has(id)) continue;
      const row = records.at(-1)?.after ?? null;
      const isIn = await delivery.holds(subscription, row);
      states.set(id, { wasIn: false, row: isIn ? row : null });
    }
    for (const [id, { row, wasIn }] of states)
      if (row !== null) rows.push(row);
      else if (wasIn || (await this.#wasIn(subscription, histories.get(id) ?? []))) gone.push(id);
    if (rows.length > 0 || gone.length > 0)
      await sendRows(subscription, [{ connection, known }], { rows, gone }, mayStay);
  }

  /** Whether the client may have the row: the id of another one must not be sent. */
  async #wasIn(subscription: Subscription, records: readonly ChangeRecord[]): Promise<boolean> {
    for (const { before } of records)
      if (await this.#options.delivery.holds(subscription, before)) return true;
    return false;
  }
}
