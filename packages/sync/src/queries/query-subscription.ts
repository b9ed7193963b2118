import {
  JOINED_ROWS,
  MAX_PAGE_SIZE,
  type IncludeQuery,
  type ReadyMessage,
  type Row,
  type RowsMessage,
  type SubscriptionChange,
} from "@pylonsync/protocol";
import type { PylonClientError } from "../connection/errors.ts";
import type { KeptQuery } from "../persistence/disk.ts";
import type { Backoff } from "../platform/backoff.ts";
import { Emitter } from "../platform/emitter.ts";
import type { DemandedQuery } from "../replica/row-source.ts";
import { treeOf, type IncludedPart } from "./included-parts.ts";

/**
 * The maximum number of row ids sent when a later visit resubscribes; more would make the message
 * too long.
 */
const MAX_NAMED_ROWS = 2_500;

/** The effects of a message on the rows of a subscription. */
export interface RowEffects {
  readonly rows: readonly Row[];
  readonly patches: readonly Row[];
  /** Ids of rows that were removed from it. */
  readonly gone: readonly string[];
}

/** A query of this page, shared by all of its subscribers. */
export class QuerySubscription {
  /** This page's id for it, on any connection. */
  readonly id: number;
  query: DemandedQuery;
  /** Its filter as JSON, which identifies it. */
  readonly condition: string;
  readonly changed = new Emitter<void>();
  /** The number of subscribers. */
  demands = 0;
  /** The app wants its rows to be available, whether it is shown or not. */
  isPinned = false;
  /** The server's number for it on this connection; null before the server has sent it. */
  number: number | null = null;
  error: PylonClientError | null = null;
  /** The delays before it is requested again; null until the server could not read it. */
  backoff: Backoff | null = null;
  /** Cancels its scheduled request. */
  cancelRetry: () => void = () => undefined;
  /** Cancels its scheduled release; null if none is scheduled. */
  cancelLinger: (() => void) | null = null;
  /** The included related rows, by path: each as a subscription. */
  readonly #related = new Map<string, QuerySubscription>();
  /** The ids of its rows received so far. */
  #ids = new Set<string>();
  /** Pages received since it was requested; shown when they are complete. */
  #pages: RowsMessage[] = [];
  #epoch: string | null = null;
  /** The change up to which its rows were known when it was last in sync. */
  #seq = 0;
  #isReady = false;
  /** Whether it is in sync with the server on this connection. */
  #isInStep = false;

  constructor(id: number, query: DemandedQuery) {
    this.id = id;
    this.query = query;
    this.condition = JSON.stringify(query.where);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Whether its rows are known as of the replica's cursor, or later. */
  get isKnown(): boolean {
    return this.#epoch !== null;
  }

  /** The log and the condition to which its cursor belongs; null if unknown. */
  get epoch(): string | null {
    return this.#epoch;
  }

  /**
   * Returns what a later visit needs to continue; null if it must load all rows.
   *
   * @param heard the newest change that the server has reported
   */
  keptAt(heard: number): KeptQuery | null {
    const { entity, where, order, limit, include } = this.query;
    const epoch = this.#epoch;
    const isLong = Math.max(this.namedRows, this.query.isRelated === true ? this.#ids.size : 0);
    if (epoch === null || isLong > MAX_NAMED_ROWS) return null;
    const seq = this.#knownAt(heard);
    const query = { entity, where, order, limit, include, epoch, seq };
    if (!this.#namesRows && this.query.isRelated !== true) return query;
    const related = [...this.#related].map(([path, part]) => ({
      path,
      entity: part.query.entity,
      ids: [...part.#ids],
    }));
    return { ...query, ids: [...this.#ids], ...(related.length === 0 ? {} : { related }) };
  }

  /** Continues from what an earlier visit has stored. */
  restore(
    { epoch, related = [] }: Pick<KeptQuery, "epoch" | "related">,
    seq: number,
    ids: Iterable<string>,
  ): void {
    this.#epoch = epoch;
    this.#seq = seq;
    this.#ids = new Set(ids);
    for (const { path, entity, ids: own } of related) {
      const part = new QuerySubscription(this.id, rowsOf(entity, this.query, path));
      part.#ids = new Set(own);
      this.#related.set(path, part);
    }
  }

  /** Whether it waits for rows. */
  get isWaiting(): boolean {
    return !this.#isInStep && this.error === null;
  }

  /** The ids of its rows received so far. */
  get ids(): ReadonlySet<string> {
    return this.#ids;
  }

  /** The number of row ids sent with a new request. */
  get namedRows(): number {
    if (!this.#namesRows) return 0;
    return this.parts.reduce((sum, { ids }) => sum + ids.size, 0);
  }

  /** Whether row ids are sent to the server: if its rows are not simply all that match. */
  get #namesRows(): boolean {
    return this.#window !== undefined || this.query.include !== undefined;
  }

  #knownAt(heard: number): number {
    return this.#isInStep ? Math.max(heard, this.#seq) : this.#seq;
  }

  /** The size of the window that the server maintains; undefined for no limit. */
  get #window(): number | undefined {
    const { limit } = this.query;
    return limit !== undefined && limit <= MAX_PAGE_SIZE ? limit : undefined;
  }

  /**
   * Starts with the rows of another window over the same condition, so that the server only sends
   * missing ones. They are retained from now on, because they may leave the other window at any
   * time.
   *
   * @param heard the newest change that the server has reported
   */
  beginWith(other: QuerySubscription, heard: number): void {
    if (other.#epoch === null || this.#window === undefined || other.#window === undefined) return;
    this.#ids = new Set(other.#ids);
    this.#epoch = other.#epoch;
    this.#seq = other.#knownAt(heard);
  }

  /**
   * Returns the request for it.
   *
   * @param isAll whether to request all rows, even known ones
   */
  request(isAll: boolean): object {
    const { entity, where, order, include } = this.query;
    const limit = this.#window;
    const known = isAll || this.#epoch === null ? undefined : this.#known(this.#epoch);
    return { type: "subscribe", id: this.id, entity, where, order, limit, include, known };
  }

  #known(epoch: string): object {
    const cursor = { seq: this.#seq, epoch };
    if (!this.#namesRows) return cursor;
    const related = [...this.#related].map(([path, { ids }]) => [path, { ids: [...ids] }] as const);
    return { ...cursor, ...treeOf({ ids: [...this.#ids] }, related) };
  }

  /** The subscription itself, and its included related rows. */
  get parts(): readonly QuerySubscription[] {
    return [this, ...this.#related.values()];
  }

  /** The included related rows, by path. */
  get related(): ReadonlyMap<string, QuerySubscription> {
    return this.#related;
  }

  /** The server has numbered the includes. Previous rows are retained until new ones arrive. */
  include(parts: readonly IncludedPart[]): void {
    const paths = new Set(parts.map(({ path }) => path));
    for (const path of this.#related.keys()) if (!paths.has(path)) this.#related.delete(path);
    for (const { path, entity, number } of parts) {
      const known = this.#related.get(path);
      const related =
        known?.query.entity === entity
          ? known
          : new QuerySubscription(this.id, rowsOf(entity, this.query, path));
      related.number = number;
      this.#related.set(path, related);
    }
  }

  /**
   * The connection has changed: nothing in flight will arrive.
   *
   * @param heard the newest change that the server has reported
   */
  disconnect(heard: number): void {
    for (const related of this.#related.values()) related.disconnect(heard);
    this.cancelRetry();
    this.#seq = this.#knownAt(heard);
    this.number = null;
    this.#isInStep = false;
    this.#pages = [];
    this.error = null;
  }

  /** The server reads it again. */
  resync(): void {
    for (const related of this.#related.values()) related.resync();
    this.#isInStep = false;
    this.#pages = [];
    this.#epoch = null;
  }

  take(page: RowsMessage): void {
    // The server starts again if permissions change while it reads.
    if (page.reset === true) this.#pages = [];
    this.#pages.push(page);
  }

  /** All pages have arrived. @returns their effects */
  complete({ seq, epoch }: ReadyMessage): RowEffects {
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
    this.#seq = seq;
    this.#isInStep = true;
    this.error = null;
    this.backoff = null;
    return { rows, patches: [], gone };
  }

  /** Applies a commit. @returns its effects */
  change({ rows = [], patches = [], gone = [] }: SubscriptionChange): RowEffects {
    for (const { id } of rows) this.#ids.add(id);
    for (const id of gone) this.#ids.delete(id);
    return { rows, patches, gone };
  }

  /** Shows the rows as they are. */
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

  /** Drops the rows, which belonged to another user. */
  forget(): void {
    this.disconnect(0);
    this.#seq = 0;
    this.#related.clear();
    this.#ids = new Set();
    this.#epoch = null;
    if (!this.#isReady) return;
    this.#isReady = false;
    this.changed.emit();
  }
}

/**
 * Rows that are found by the key that leads to them, and not by their content.
 *
 * @param path the relation names that lead to them, from the rows of `query`
 */
function rowsOf(entity: string, query: DemandedQuery, path: string): DemandedQuery {
  let asked: IncludeQuery = query;
  for (const name of path.split("/").slice(1))
    if (name !== JOINED_ROWS) asked = asked.include?.[name] ?? {};
  const { where = {} } = asked;
  return { entity, where, order: undefined, limit: undefined, matches: () => false };
}
