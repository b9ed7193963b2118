import type { Row } from "@pylonsync/protocol";
import {
  compilePredicate,
  parseFilter,
  QueryError,
  type EntityShape,
  type Env,
} from "@pylonsync/query";
import { Emitter } from "../platform/emitter.ts";
import type { LocalStore, WatchedView } from "./local-store.ts";
import type { Demand, DemandedQuery } from "./row-source.ts";
import { View, type ViewQuery } from "./view.ts";

/** What a live query shows. */
export interface QueryOptions {
  /** A filter such as `{done: false}`. */
  readonly where?: Readonly<Record<string, unknown>> | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly orderBy?: Readonly<Record<string, "asc" | "desc">> | undefined;
  readonly limit?: number | undefined;
}

/** A list that is always up to date. The same array comes back until a row in it changes. */
export interface LiveList {
  /**
   * Whether the rows have come; before that an empty list means nothing. Null where all rows of the
   * app come together, and `engine.status.ready` tells it.
   */
  isReady(): boolean | null;
  /**
   * @throws QueryError when a value of the filter does not fit the kind of its field
   * @throws PylonClientError when the server refuses the query
   */
  getSnapshot(): readonly Row[];
  /** Calls the listener after the list has changed. @returns an unsubscribe function */
  subscribe(listener: () => void): () => void;
}

/**
 * The rows of a replica that match, live.
 *
 * Values mean what they mean on the server: the kinds of the fields come with the replica. A value
 * that does not fit its field is an error, at once where the kind is known, else of `getSnapshot`
 * when it is. While somebody listens the list is kept in step with the replica, at a cost that
 * grows with the logarithm of its length; else it is made when it is read.
 *
 * @throws QueryError when the filter can't be understood
 * @example
 * const open = liveQuery(engine.store, "Todo", { where: { done: false }, limit: 50 });
 * open.subscribe(() => render(open.getSnapshot()));
 */
export function liveQuery(store: LocalStore, entity: string, options: QueryOptions = {}): LiveList {
  return new LiveQuery(store, entity, options);
}

class LiveQuery implements LiveList {
  readonly #store: LocalStore;
  readonly #entity: string;
  readonly #options: QueryOptions;
  readonly #changed = new Emitter<void>();
  #listeners = 0;
  #shape: EntityShape | undefined;
  #query: CompiledQuery | QueryError;
  #watched: WatchedView | null = null;
  #demand: Demand | null = null;
  #stopSchema: () => void = () => undefined;
  /** Made of the table of a version; nobody keeps it in step. */
  #made: { readonly view: View; readonly tableVersion: number } | null = null;
  /** What `#rows` are of: a view, or what an earlier visit showed. */
  #seen: { readonly source: View | readonly Row[]; readonly version: number } | null = null;
  #rows: readonly Row[] = [];

  constructor(store: LocalStore, entity: string, options: QueryOptions) {
    this.#store = store;
    this.#entity = entity;
    this.#options = options;
    this.#shape = store.shape(entity);
    this.#query = compile(options, this.#shape);
  }

  isReady(): boolean | null {
    return this.#store.isByDemand ? this.#demand?.isReady === true : null;
  }

  getSnapshot(): readonly Row[] {
    this.#follow();
    const query = this.#query;
    if (query instanceof QueryError) throw query;
    if (this.#demand?.error) throw this.#demand.error;
    const preview = this.#store.previewOf(this.#entity, query.view.key);
    const source = preview ?? this.#watched?.view ?? this.#make(query);
    const version = source instanceof View ? source.version : 0;
    if (this.#seen?.source === source && this.#seen.version === version) return this.#rows;
    this.#seen = { source, version };
    const found =
      source instanceof View
        ? source.rows(query.from, query.to)
        : source.slice(query.from, query.to);
    if (found.length !== this.#rows.length || found.some((row, index) => row !== this.#rows[index]))
      this.#rows = found;
    return this.#rows;
  }

  subscribe(listener: () => void): () => void {
    const unsubscribe = this.#changed.on(() => listener());
    this.#listeners += 1;
    if (this.#listeners === 1) {
      this.#stopSchema = this.#store.onSchema(() => {
        this.#follow();
        this.#changed.emit();
      });
      this.#follow();
      this.#watch();
    }
    let isStopped = false;
    return () => {
      if (isStopped) return;
      isStopped = true;
      unsubscribe();
      this.#listeners -= 1;
      if (this.#listeners > 0) return;
      this.#stopSchema();
      this.#unwatch();
    };
  }

  /** The kinds of the fields may be known by now, or be others. */
  #follow(): void {
    const shape = this.#store.shape(this.#entity);
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.#query = compiledOrError(this.#options, shape);
    this.#made = null;
    if (this.#listeners === 0) return;
    this.#unwatch();
    this.#watch();
  }

  #watch(): void {
    const query = this.#query;
    if (query instanceof QueryError) return;
    this.#watched = this.#store.watch(this.#entity, this.#make(query), query.to, () =>
      this.#changed.emit(),
    );
    this.#made = null;
    this.#demand = this.#store.demand(demandOf(this.#entity, this.#options, query), () =>
      this.#changed.emit(),
    );
  }

  #unwatch(): void {
    this.#watched?.stop();
    this.#watched = null;
    this.#demand?.release();
    this.#demand = null;
  }

  #make(query: CompiledQuery): View {
    const tableVersion = this.#store.version(this.#entity);
    if (this.#made?.tableVersion === tableVersion) return this.#made.view;
    const view = this.#store.view(this.#entity, query.view, query.to);
    this.#made = { view, tableVersion };
    return view;
  }
}

/**
 * The options as the filter of `POST /api/query/Entity`, checked before JSON drops what is
 * undefined and makes null of NaN.
 *
 * @throws QueryError when the filter can't be understood
 * @example
 * await engine.request("POST", "/api/query/Todo", toFilter({ where: { done: false }, limit: 20 }));
 */
export function toFilter(options: QueryOptions): Readonly<Record<string, unknown>> {
  compile(options, undefined);
  return filterOf(options);
}

function filterOf({ where, orderBy, limit }: QueryOptions): Readonly<Record<string, unknown>> {
  return {
    ...where,
    ...(orderBy === undefined ? {} : { $order: orderBy }),
    ...(limit === undefined ? {} : { $limit: limit }),
  };
}

/** A view, and the part of it that is shown. */
interface CompiledQuery {
  readonly view: ViewQuery;
  readonly from: number;
  readonly to: number;
}

function compile(options: QueryOptions, shape: EntityShape | undefined): CompiledQuery {
  const { limit } = options;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0))
    throw new QueryError("INVALID_QUERY", `limit is ${String(limit)}: use a whole number from 0.`, {
      field: "limit",
    });
  const filter = parseFilter(filterOf(options), shape, { unknownFields: "null" });
  if (filter.search !== undefined)
    throw new QueryError("INVALID_QUERY", "$search is not supported in a live query.", {
      field: "$search",
      hint: "Use $like for a substring.",
    });
  const { where, order, offset: from = 0 } = filter;
  const test = compilePredicate(where);
  return {
    view: {
      key: JSON.stringify([where, order]),
      where,
      order,
      matches: (row) => test({ data: row } satisfies Env),
    },
    from,
    to: filter.limit === undefined ? Infinity : from + filter.limit,
  };
}

/** What brings the rows of a query, up to the last that it shows. */
function demandOf(entity: string, options: QueryOptions, query: CompiledQuery): DemandedQuery {
  const { $order: order, $limit: _limit, $offset: _offset, ...where } = filterOf(options);
  const limit = query.to === Infinity ? undefined : query.to;
  return { entity, where, order, limit, matches: query.view.matches };
}

/** The same error comes back until the kinds change. */
function compiledOrError(
  options: QueryOptions,
  shape: EntityShape | undefined,
): CompiledQuery | QueryError {
  try {
    return compile(options, shape);
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
}

/**
 * One row that is always up to date; null when it is not there. The same object comes back until it
 * changes.
 */
export interface LiveRow {
  /** As of a `LiveList`. */
  readonly isReady: () => boolean | null;
  readonly getSnapshot: () => Row | null;
  /** Calls the listener after the row has changed. @returns an unsubscribe function */
  readonly subscribe: (listener: () => void) => () => void;
}

/**
 * One row of a replica, live, as `liveQuery` has lists.
 *
 * @example
 * const row = liveRow(engine.store, "Todo", id);
 * row.subscribe(() => render(row.getSnapshot()));
 */
export function liveRow(store: LocalStore, entity: string, id: string): LiveRow {
  const demands = new Set<Demand>();
  const query: DemandedQuery = {
    entity,
    where: { id },
    order: undefined,
    limit: undefined,
    matches: (row) => row.id === id,
  };
  return {
    isReady: () => (store.isByDemand ? [...demands].some(({ isReady }) => isReady) : null),
    getSnapshot: () => {
      for (const { error } of demands) if (error !== null) throw error;
      return store.get(entity, id);
    },
    subscribe: (listener) => {
      const unsubscribe = store.subscribeRow({ entity, id }, listener);
      const demand = store.demand(query, listener);
      if (demand !== null) demands.add(demand);
      return () => {
        unsubscribe();
        if (demand === null || !demands.delete(demand)) return;
        demand.release();
      };
    },
  };
}
