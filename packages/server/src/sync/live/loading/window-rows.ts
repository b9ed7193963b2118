import { MAX_RESULT_BYTES, type Known } from "@pylonsync/protocol";
import { rowComparator } from "@pylonsync/query";
import { resultTooLarge } from "../../../data/result-size.ts";
import { isFull } from "../../../store/row-size.ts";
import type { StoredRow } from "../../../store/store.ts";
import type { Subscription } from "../../subscriptions/subscription.ts";
import type { Window } from "../../subscriptions/window.ts";
import { checkOrder } from "../subscription-weight.ts";
import { changedRows, type ChangedRowsOptions } from "./changed-rows.ts";
import { isKnown, type KnownLog } from "./cursors.ts";
import type { Joiner } from "./joiner.ts";
import type { Load } from "./load.ts";
import { readerFor, type ReaderOptions } from "./reader-for.ts";
import { sendRows, type MayStay, type SentRows } from "./send-rows.ts";

/**
 * The number of rows read beyond the limit of a window, if they are not too large: as many may turn
 * out to be newer than the feed.
 */
const SPARE = 64;

/** The dependencies of WindowRows. */
export interface WindowRowsOptions extends ReaderOptions, ChangedRowsOptions {
  readonly mayStay: MayStay;
  readonly now: () => number;
}

/** The rows of a window that were read, before they are adjusted to the feed's position. */
export interface FoundRows {
  /** In order, more than the limit. */
  readonly rows: readonly StoredRow[];
  /** Whether there may be more. */
  readonly isCut: boolean;
}

/** Reads and sends the rows of a subscription with a limit: the first ones in its order. */
export class WindowRows {
  readonly #options: WindowRowsOptions;

  constructor(options: WindowRowsOptions) {
    this.#options = options;
  }

  async read(
    subscription: Subscription,
    joiners: readonly Joiner[],
    load: Load,
  ): Promise<FoundRows> {
    const { entity, order, limit = 0 } = subscription.query;
    const rows = await readerFor(this.#options, joiners).select({
      entity,
      where: subscription.truthAt(this.#options.now()),
      order,
      limit: limit + SPARE,
      maxBytes: MAX_RESULT_BYTES,
    });
    if (isFull(rows.slice(0, limit), MAX_RESULT_BYTES)) throw resultTooLarge();
    for (const { id } of rows) load.read.add(id);
    // Large rows leave no room for all spare ones.
    const isCut = rows.length === limit + SPARE || isFull(rows, MAX_RESULT_BYTES);
    return { rows, isCut };
  }

  /**
   * For use in a step of the queue, after the read: begins the window if it has no members, and
   * sends each joiner the rows that it lacks.
   *
   * @returns false if too many rows have left since the read, so that it must be repeated
   */
  async send(
    subscription: Subscription,
    window: Window,
    joiners: readonly Joiner[],
    {
      found,
      load,
      log,
    }: { readonly found: FoundRows; readonly load: Load; readonly log: KnownLog | null },
  ): Promise<boolean> {
    const { mayStay } = this.#options;
    const states = await changedRows(this.#options, subscription, load);
    const rows = currentRows(window, found, states);
    if (found.isCut && rows.length < window.limit) return false;
    if (subscription.members.size === 0) {
      window.begin(rows, found.isCut || rows.length > window.limit);
      checkOrder(window);
    }
    const shown = rows.slice(0, window.limit);
    const fresh: Joiner[] = [];
    for (const joiner of joiners) {
      const { known } = joiner;
      if (log === null || known?.ids === undefined || !isKnown(known, log)) fresh.push(joiner);
      else {
        const { ids } = known;
        const missed = missedRows(subscription, { ...known, ids }, { shown, states, log });
        await sendRows(subscription, [joiner], missed, mayStay);
      }
    }
    await sendRows(subscription, fresh, { reset: true, rows: shown }, mayStay);
    return true;
  }
}

/** The rows at the feed's position, as far as the read can tell. */
function currentRows(
  { order }: Window,
  found: FoundRows,
  states: Load["changed"],
): readonly StoredRow[] {
  const compare = rowComparator(order);
  const last = found.rows.at(-1);
  const rows = found.rows.filter(({ id }) => !states.has(id));
  for (const { row } of states.values()) if (row !== null) rows.push(row);
  rows.sort(compare);
  // Between the last row that was read and one after it there may be others.
  return found.isCut && last !== undefined ? rows.filter((row) => compare(row, last) <= 0) : rows;
}

/** What a returning client lacks of a window: it names the rows that it has. */
function missedRows(
  subscription: Subscription,
  known: Pick<Known, "seq"> & { readonly ids: readonly string[] },
  {
    shown,
    states,
    log,
  }: {
    readonly shown: readonly StoredRow[];
    readonly states: Load["changed"];
    readonly log: KnownLog;
  },
): SentRows {
  const ids = new Set(known.ids);
  for (const { entity, rowId, seq } of log.records)
    if (entity === subscription.entity && seq > known.seq) ids.delete(rowId);
  const isKept = ({ id }: StoredRow): boolean => ids.has(id) && !states.has(id);
  const shownIds = new Set(shown.map(({ id }) => id));
  return {
    // Unchanged rows are not sent.
    rows: shown.filter((row) => !isKept(row)),
    gone: known.ids.filter((id) => !shownIds.has(id)),
  };
}
