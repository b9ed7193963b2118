import { PylonError } from "@pylonsync/protocol";
import type { SubscriptionRegistry } from "../../subscriptions/registry.ts";
import type { Subscription } from "../../subscriptions/subscription.ts";
import type { Window } from "../../subscriptions/window.ts";
import { Cursors, isKnown, type CursorsOptions, type KnownLog } from "./cursors.ts";
import { IncludedRows, type IncludedRowsOptions } from "./included-rows.ts";
import { isWanted, type Joiner } from "./joiner.ts";
import { Load } from "./load.ts";
import { MissedRows } from "./missed-rows.ts";
import { RowPages, type RowPagesOptions } from "./row-pages.ts";
import { WindowRows, type FoundRows } from "./window-rows.ts";

const ATTEMPTS = 5;

/** The dependencies of the loader and its parts. */
export interface LoaderOptions
  extends RowPagesOptions, CursorsOptions, Omit<IncludedRowsOptions, "cursors"> {
  readonly registry: SubscriptionRegistry;
  /** Called if the rows can't be read. */
  readonly onFailure: (
    subscription: Subscription,
    joiners: readonly Joiner[],
    error: unknown,
  ) => void;
}

/** What a step of the queue needs of the read before it. */
interface ReadBefore {
  readonly load: Load;
  readonly log: KnownLog | null;
}

/**
 * Adds members to subscriptions: reads the rows in parallel with the feed, then joins between two
 * of its deliveries, with the changes in between. A member that joins during a read shares the next
 * one.
 */
export class Loader {
  readonly #options: LoaderOptions;
  readonly #cursors: Cursors;
  readonly #pages: RowPages;
  readonly #missed: MissedRows;
  readonly #windows: WindowRows;
  readonly #included: IncludedRows;
  readonly #waiting = new Map<Subscription, Set<Joiner>>();
  /** The subscriptions whose joiners are being served. */
  readonly #served = new Set<Subscription>();

  constructor(options: LoaderOptions) {
    this.#options = options;
    this.#cursors = new Cursors(options);
    this.#pages = new RowPages(options);
    this.#missed = new MissedRows(options);
    this.#windows = new WindowRows(options);
    this.#included = new IncludedRows({ ...options, cursors: this.#cursors });
  }

  join(subscription: Subscription, joiner: Joiner): void {
    const room = joiner.connection.subscriber.room();
    if (room === null) return this.#wait(subscription, joiner);
    // It is kept for this joiner, too, while it waits.
    this.#keep(subscription, async () => {
      await room;
      this.#wait(subscription, joiner);
    });
  }

  #wait(subscription: Subscription, joiner: Joiner): void {
    const waiting = this.#waiting.get(subscription) ?? new Set();
    this.#waiting.set(subscription, waiting.add(joiner));
    if (this.#served.has(subscription)) return;
    this.#served.add(subscription);
    // Subscriptions in the same turn of the event loop are served together.
    this.#keep(subscription, async () => {
      await Promise.resolve();
      await this.#serve(subscription);
    });
  }

  /** Keeps a subscription, although it may have no members, until the work is done. */
  #keep(subscription: Subscription, work: () => Promise<void>): void {
    subscription.awaiting += 1;
    void work().finally(() => {
      subscription.awaiting -= 1;
      this.#options.registry.release(subscription);
    });
  }

  async #serve(subscription: Subscription): Promise<void> {
    for (;;) {
      const joiners = [...(this.#waiting.get(subscription) ?? [])];
      this.#waiting.delete(subscription);
      if (joiners.length === 0) break;
      try {
        await this.#joinAll(subscription, joiners);
      } catch (error) {
        this.#options.onFailure(subscription, joiners.filter(isWanted(subscription)), error);
      }
    }
    this.#served.delete(subscription);
  }

  async #joinAll(subscription: Subscription, joiners: readonly Joiner[]): Promise<void> {
    const { queue } = this.#options;
    // The client has only read data that was committed before this: rows must not go back in time.
    await queue.settle();
    let left: readonly Joiner[] = joiners.filter(isWanted(subscription));
    for (let attempt = 0; left.length > 0; attempt += 1) {
      if (attempt === ATTEMPTS)
        throw new PylonError("OVERLOADED", "The rows change too fast to be loaded.", {
          hint: "Try again in a few seconds.",
          extra: { retry_after_secs: 1 },
        });
      left = await this.#attempt(subscription, left);
      left = left.filter(isWanted(subscription));
    }
  }

  /** @returns the joiners that must be served again */
  async #attempt(
    subscription: Subscription,
    joiners: readonly Joiner[],
  ): Promise<readonly Joiner[]> {
    const { queue } = this.#options;
    const { window } = subscription;
    const load = new Load();
    let start = 0;
    await queue.enqueue(() => {
      subscription.loads.add(load);
      start = queue.position;
      return Promise.resolve();
    });
    try {
      const log = await this.#cursors.logFor(subscription, joiners, start);
      if (window !== null) {
        const found = await this.#windows.read(subscription, joiners, load);
        return await queue.enqueue(() =>
          this.#joinWindow(subscription, joiners, { load, log, found, window }),
        );
      }
      const continuing = joiners.filter(({ known }) => isKnown(known, log));
      const fresh = joiners.filter((joiner) => !continuing.includes(joiner));
      const complete = await this.#pages.send(subscription, fresh, load, (joiner, after) =>
        this.#continueAlone(subscription, joiner, load.copy(), after),
      );
      return await queue.enqueue(() =>
        this.#joinRows(subscription, { load, log, complete, continuing }),
      );
    } finally {
      subscription.loads.delete(load);
    }
  }

  /**
   * A step of the queue for a subscription with a limit.
   *
   * @returns the joiners that must be served again
   */
  async #joinWindow(
    subscription: Subscription,
    joiners: readonly Joiner[],
    { window, ...read }: ReadBefore & { readonly found: FoundRows; readonly window: Window },
  ): Promise<readonly Joiner[]> {
    await this.#options.queue.deliver();
    if (read.load.isVoid) return joiners;
    if (!(await this.#windows.send(subscription, window, joiners, read))) return joiners;
    const hasRelated = subscription.branches.length > 0;
    if (hasRelated && !(await this.#included.send(subscription, joiners, read.log))) return joiners;
    this.#enter(subscription, joiners);
    return [];
  }

  /**
   * A step of the queue for a subscription without a limit.
   *
   * @returns the joiners that must be served again
   */
  async #joinRows(
    subscription: Subscription,
    {
      load,
      log,
      complete,
      continuing,
    }: ReadBefore & {
      /** Those that were sent all rows. */
      readonly complete: readonly Joiner[];
      /** Those whose cursors are continued. */
      readonly continuing: readonly Joiner[];
    },
  ): Promise<readonly Joiner[]> {
    const joiners = [...complete, ...continuing];
    await this.#options.queue.deliver();
    if (load.isVoid) return joiners;
    await this.#pages.correct(subscription, complete, load);
    for (const joiner of continuing) await this.#missed.send(subscription, joiner, load, log);
    this.#enter(subscription, joiners);
    return [];
  }

  /** Sends a slow joiner the rows that others have already received. */
  #continueAlone(subscription: Subscription, joiner: Joiner, load: Load, after: string): void {
    const { queue, onFailure } = this.#options;
    subscription.loads.add(load);
    this.#keep(subscription, async () => {
      try {
        await joiner.connection.subscriber.drained();
        const complete = await this.#pages.sendRest(subscription, joiner, load, after);
        await queue.enqueue(async () => {
          await queue.deliver();
          if (load.isVoid) return this.join(subscription, joiner);
          await this.#pages.correct(subscription, complete, load);
          this.#enter(subscription, complete);
        });
      } catch (error) {
        onFailure(subscription, [joiner].filter(isWanted(subscription)), error);
      } finally {
        subscription.loads.delete(load);
      }
    });
  }

  /** Makes joiners members that have the rows at the feed's position. */
  #enter(subscription: Subscription, joiners: readonly Joiner[]): void {
    const { queue } = this.#options;
    const ready = JSON.stringify({
      type: "ready",
      sub: subscription.number,
      seq: queue.position,
      epoch: this.#cursors.epochOf(subscription),
    });
    for (const { connection } of joiners.filter(isWanted(subscription))) {
      for (const { members } of subscription.parts) members.add(connection.subscriber);
      connection.subscriber.send(ready);
    }
  }
}
