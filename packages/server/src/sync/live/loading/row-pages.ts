import { MAX_PAGE_BYTES, MAX_SUBSCRIPTION_ROWS, PylonError } from "@pylonsync/protocol";
import { and, TRUE } from "@pylonsync/query";
import { idAfter } from "../../../data/reads.ts";
import type { Platform } from "../../../platform.ts";
import { isFull } from "../../../store/row-size.ts";
import type { StoredRow } from "../../../store/store.ts";
import { settledWithin } from "../../../util/time-limit.ts";
import type { Subscription } from "../../subscriptions/subscription.ts";
import { changedRows, type ChangedRowsOptions } from "./changed-rows.ts";
import { isWanted, type Joiner } from "./joiner.ts";
import type { Load } from "./load.ts";
import { readerFor, type ReaderOptions } from "./reader-for.ts";
import { sendRows, type MayStay } from "./send-rows.ts";

const PAGE = 500;
/** How long joiners wait for one that reads a page more slowly, in milliseconds. */
const PAGE_MS = 250;

/** The dependencies of RowPages. */
export interface RowPagesOptions extends ReaderOptions, ChangedRowsOptions {
  readonly mayStay: MayStay;
  readonly now: () => number;
  readonly after: Platform["after"];
}

/**
 * Called for a joiner that reads much more slowly than the others.
 *
 * @param after the id of the last row that it was sent
 */
export type OnSlow = (joiner: Joiner, after: string) => void;

/** Sends all rows of a subscription without a limit, page by page, while the feed continues. */
export class RowPages {
  readonly #options: RowPagesOptions;

  constructor(options: RowPagesOptions) {
    this.#options = options;
  }

  /**
   * Sends all rows. Nobody waits for a slow joiner: it is sent no more pages here.
   *
   * @returns the joiners that were sent all rows
   */
  send(
    subscription: Subscription,
    joiners: readonly Joiner[],
    load: Load,
    onSlow: OnSlow,
  ): Promise<readonly Joiner[]> {
    return this.#send(subscription, joiners, load, { after: null, onSlow });
  }

  /** Like `send`, for one joiner that has the rows up to an id, however slowly it reads. */
  sendRest(
    subscription: Subscription,
    joiner: Joiner,
    load: Load,
    after: string,
  ): Promise<readonly Joiner[]> {
    return this.#send(subscription, [joiner], load, { after, onSlow: null });
  }

  /**
   * For use in a step of the queue, after the pages: sends the rows that changed while pages were
   * read, or that were read in a later state.
   */
  async correct(subscription: Subscription, joiners: readonly Joiner[], load: Load): Promise<void> {
    if (joiners.length === 0) return;
    const rows: StoredRow[] = [];
    const gone: string[] = [];
    for (const [id, { row, wasIn }] of await changedRows(this.#options, subscription, load))
      if (row !== null) rows.push(row);
      else if (wasIn || load.read.has(id)) gone.push(id);
    if (rows.length > 0 || gone.length > 0)
      await sendRows(subscription, joiners, { rows, gone }, this.#options.mayStay);
  }

  async #send(
    subscription: Subscription,
    joiners: readonly Joiner[],
    load: Load,
    { after, onSlow }: { readonly after: string | null; readonly onSlow: OnSlow | null },
  ): Promise<readonly Joiner[]> {
    const { mayStay, now } = this.#options;
    const reader = readerFor(this.#options, joiners);
    const truth = subscription.truthAt(now());
    let left = joiners.filter(isWanted(subscription));
    for (let last = after; left.length > 0;) {
      const isFirst = last === null;
      const rows: StoredRow[] = await reader.select({
        entity: subscription.entity,
        where: and(last === null ? TRUE : idAfter(last), truth),
        limit: PAGE,
        maxBytes: MAX_PAGE_BYTES,
      });
      for (const { id } of rows) load.read.add(id);
      if (load.read.size > MAX_SUBSCRIPTION_ROWS) throw tooManyRows();
      if (rows.length > 0 || isFirst)
        await sendRows(subscription, left, { rows, ...(isFirst ? { reset: true } : {}) }, mayStay);
      last = rows.at(-1)?.id ?? null;
      if (last === null || (rows.length < PAGE && !isFull(rows, MAX_PAGE_BYTES))) break;
      const slow = await this.#waitForReaders(left, onSlow === null);
      for (const joiner of slow) onSlow?.(joiner, last);
      left = left.filter((joiner) => !slow.has(joiner)).filter(isWanted(subscription));
    }
    return left;
  }

  /** @returns those that have not read everything in time; none if the time is unlimited */
  async #waitForReaders(
    joiners: readonly Joiner[],
    isUnlimited: boolean,
  ): Promise<ReadonlySet<Joiner>> {
    const slow = new Set(joiners);
    const reading = Promise.all(
      joiners.map(async (joiner) => {
        await joiner.connection.subscriber.drained();
        slow.delete(joiner);
      }),
    );
    if (isUnlimited) await reading;
    else await settledWithin(this.#options, reading, PAGE_MS);
    return slow;
  }
}

function tooManyRows(): PylonError {
  return new PylonError(
    "RESULT_TOO_LARGE",
    `A subscription may have at most ${MAX_SUBSCRIPTION_ROWS} rows.`,
    { hint: "Restrict the rows with where or limit." },
  );
}
