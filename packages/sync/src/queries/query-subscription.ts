import {
  MAX_PAGE_SIZE,
  type ReadyMessage,
  type Row,
  type RowsMessage,
  type SubscriptionChange,
} from "@pylonsync/protocol";
import type { PylonClientError } from "../connection/errors.ts";
import { Emitter } from "../platform/emitter.ts";
import type { DemandedQuery } from "../replica/row-source.ts";

/** What a message does to the rows of a subscription. */
export interface RowEffects {
  readonly rows: readonly Row[];
  readonly patches: readonly Row[];
  /** Rows that are no longer in it. */
  readonly gone: readonly string[];
}

/** One query of this page, for all who show it. */
export class QuerySubscription {
  /** This page's name for it, on any connection. */
  readonly id: number;
  readonly query: DemandedQuery;
  readonly changed = new Emitter<void>();
  /** How many show it. */
  demands = 0;
  /** The server's name for it on this connection; null before it has told. */
  number: number | null = null;
  error: PylonClientError | null = null;
  /** Ends the wait until it is let go. */
  cancelLinger: () => void = () => undefined;
  /** The ids of its rows, as far as they have come. */
  #ids = new Set<string>();
  /** What has come since it was asked for, and is shown when it is whole. */
  #pages: RowsMessage[] = [];
  #epoch: string | null = null;
  #isReady = false;
  /** It is in step with the server on this connection. */
  #isInStep = false;

  constructor(id: number, query: DemandedQuery) {
    this.id = id;
    this.query = query;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Whether it waits for rows. */
  get isWaiting(): boolean {
    return !this.#isInStep && this.error === null;
  }

  /** The ids of its rows, as far as they have come. */
  get ids(): ReadonlySet<string> {
    return this.#ids;
  }

  /** A window of so many rows is kept by the server; without one there is no limit. */
  get #window(): number | undefined {
    const { limit } = this.query;
    return limit !== undefined && limit <= MAX_PAGE_SIZE ? limit : undefined;
  }

  /**
   * Begins with the rows of another window over the same condition: the server sends those that are
   * missing. They are held from now on, as they may leave the other window at any time.
   */
  beginWith(other: QuerySubscription): void {
    if (other.#epoch === null || this.#window === undefined || other.#window === undefined) return;
    this.#ids = new Set(other.#ids);
    this.#epoch = other.#epoch;
  }

  /**
   * What asks for it.
   *
   * @param seq up to which change everything is known that has come; null to ask for all
   */
  request(seq: number | null): object {
    const { entity, where, order } = this.query;
    const limit = this.#window;
    const known =
      seq === null || this.#epoch === null
        ? undefined
        : {
            seq,
            epoch: this.#epoch,
            ...(limit === undefined ? {} : { ids: [...this.#ids] }),
          };
    return { type: "subscribe", id: this.id, entity, where, order, limit, known };
  }

  /** The connection is another: nothing that was on its way arrives. */
  disconnect(): void {
    this.number = null;
    this.#isInStep = false;
    this.#pages = [];
    this.error = null;
  }

  /** The server reads it again. */
  resync(): void {
    this.#isInStep = false;
    this.#pages = [];
    this.#epoch = null;
  }

  take(page: RowsMessage): void {
    // The server begins again where rights change while it reads.
    if (page.reset === true) this.#pages = [];
    this.#pages.push(page);
  }

  /** All pages have come. @returns what they do */
  complete({ epoch }: ReadyMessage): RowEffects {
    const pages = this.#pages;
    this.#pages = [];
    const rows = pages.flatMap((page) => page.rows ?? []);
    const ids = new Set(pages[0]?.reset === true ? [] : this.#ids);
    for (const page of pages) {
      for (const { id } of page.rows ?? []) ids.add(id);
      for (const id of page.keep ?? []) ids.add(id);
      for (const id of page.gone ?? []) ids.delete(id);
    }
    const gone = [...this.#ids].filter((id) => !ids.has(id));
    this.#ids = ids;
    this.#epoch = epoch;
    this.#isInStep = true;
    this.error = null;
    return { rows, patches: [], gone };
  }

  /** A commit changes it. @returns what it does */
  change({ rows = [], patches = [], gone = [] }: SubscriptionChange): RowEffects {
    for (const { id } of rows) this.#ids.add(id);
    for (const id of gone) this.#ids.delete(id);
    return { rows, patches, gone };
  }

  /** Its rows are shown as they are. */
  show(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.changed.emit();
  }

  fail(error: PylonClientError): void {
    this.error = error;
    this.number = null;
    this.#epoch = null;
    this.#isReady = true;
    this.changed.emit();
  }

  /** What has come was another user's, or is no longer told apart from other rows. */
  forget(isShown: boolean): void {
    this.disconnect();
    this.#ids = new Set();
    this.#epoch = null;
    if (isShown === this.#isReady) return;
    this.#isReady = isShown;
    this.changed.emit();
  }
}
