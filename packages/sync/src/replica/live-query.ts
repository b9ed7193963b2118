import type { Row } from "@pylonsync/protocol";
import {
  compileFilter,
  invalidQuery,
  parseUnknownFilter,
  QueryError,
  type EntityShape,
  type Env,
  type ParsedFilter,
} from "@pylonsync/query";
import { includeQuery } from "./include-query.ts";
import { IncludedQuery } from "./included-query.ts";
import { Emitter } from "../platform/emitter.ts";
import type { LocalStore, WatchedView } from "./local-store.ts";
import type { Demand, DemandedQuery } from "./row-source.ts";
import { View, type ViewQuery } from "./view.ts";

/** The options of a live query. */
export interface QueryOptions {
  /** A filter such as `{done: false}`. */
  readonly where?: Readonly<Record<string, unknown>> | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly orderBy?: Readonly<Record<string, "asc" | "desc">> | undefined;
  readonly limit?: number | undefined;
  /**
   * Related rows to include under the names of their relations: `{author: true, reactions: {order:
   * {createdAt: "desc"}, limit: 20}}`.
   */
  readonly include?: IncludeOptions | undefined;
}

/** The related rows to include, by relation. */
export type IncludeOptions = Readonly<Record<string, true | RelatedOptions>>;

/** Options for related rows; `limit` applies per parent row. */
export interface RelatedOptions {
  readonly where?: Readonly<Record<string, unknown>> | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly order?: Readonly<Record<string, "asc" | "desc">> | undefined;
  readonly limit?: number | undefined;
  readonly include?: IncludeOptions | undefined;
}

/** A live list. The array is stable until a row in it changes. */
export interface LiveList {
  /**
   * Whether the rows have been loaded; before that an empty list has no meaning. Null for a full
   * replica, whose state is in `engine.status.ready`.
   */
  isReady(): boolean | null;
  /**
   * @throws QueryError if a value of the filter does not match the type of its field
   * @throws PylonClientError if the server rejects the query
   */
  getSnapshot(): readonly Row[];
  /** Calls the listener after the list has changed. @returns an unsubscribe function */
  subscribe(listener: () => void): () => void;
}

/**
 * Returns the matching rows of a replica, live.
 *
 * Values are compared as on the server: the types of the fields come with the replica. A value that
 * does not match its field is an error: immediately if the type is known, otherwise of
 * `getSnapshot`. With subscribers the list is updated incrementally, at a cost that grows with the
 * logarithm of its length; otherwise it is built when it is read.
 *
 * @throws QueryError if the filter is invalid
 * @example
 * const open = liveQuery(engine.store, "Todo", { where: { done: false }, limit: 50 });
 * open.subscribe(() => render(open.getSnapshot()));
 */
export function liveQuery(store: LocalStore, entity: string, options: QueryOptions = {}): LiveList {
  const list = new LiveQuery(store, entity, options);
  const { include = {} } = options;
  if (Object.keys(include).length === 0) return list;
  return new IncludedQuery(store, entity, include, { rows: list, related: localQuery });
}

/** Queries rows of the replica, regardless of the query that loaded them. */
function localQuery(
  store: LocalStore,
  entity: string,
  options: QueryOptions,
  asked: QueryOptions["where"] = {},
): LiveList {
  return new LiveQuery(store, entity, options, asked);
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
  /** Built from one version of the table, and not updated. */
  #made: { readonly view: View; readonly tableVersion: number } | null = null;
  /** The source of `#rows`: a view, or the result of an earlier visit. */
  #seen: { readonly source: View | readonly Row[]; readonly version: number } | null = null;
  #rows: readonly Row[] = [];

  /**
   * The filter by which another query has requested its rows; undefined: it requests them itself.
   */
  readonly #asked: QueryOptions["where"];

  constructor(
    store: LocalStore,
    entity: string,
    options: QueryOptions,
    asked?: QueryOptions["where"],
  ) {
    this.#store = store;
    this.#asked = asked;
    this.#entity = entity;
    this.#options = options;
    this.#shape = store.shape(entity);
    this.#query = compile(options, { store, entity, asked });
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

  /** The field types may have been loaded or changed. */
  #follow(): void {
    const shape = this.#store.shape(this.#entity);
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.#query = compiledOrError(this.#options, {
      store: this.#store,
      entity: this.#entity,
      asked: this.#asked,
    });
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
    if (this.#asked !== undefined) return;
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
    const isRelated = query.view.related !== undefined;
    if (this.#made?.tableVersion === tableVersion && !isRelated) return this.#made.view;
    const view = this.#store.view(this.#entity, query.view, query.to);
    this.#made = { view, tableVersion };
    return view;
  }
}

/**
 * Returns the options as a filter for `POST /api/query/Entity`. They are checked before JSON drops
 * undefined and converts NaN to null.
 *
 * @throws QueryError if the filter is invalid
 * @example
 * await engine.request("POST", "/api/query/Todo", toFilter({ where: { done: false }, limit: 20 }));
 */
export function toFilter(options: QueryOptions): Readonly<Record<string, unknown>> {
  parse(options);
  const { include } = options;
  return { ...filterOf(options), ...(include === undefined ? {} : { $include: include }) };
}

function filterOf({ where, orderBy, limit }: QueryOptions): Readonly<Record<string, unknown>> {
  return {
    ...where,
    ...(orderBy === undefined ? {} : { $order: orderBy }),
    ...(limit === undefined ? {} : { $limit: limit }),
  };
}

/** A view, and the part of it that is shown. */
export interface CompiledQuery {
  readonly view: ViewQuery;
  readonly from: number;
  readonly to: number;
}

/** The rows that a query requests. */
export interface QueryPlace {
  readonly store: LocalStore;
  readonly entity: string;
  /** The filter with which the server sends them, if it differs from the query's own. */
  readonly asked?: QueryOptions["where"];
}

function parse(options: QueryOptions, place?: QueryPlace): ParsedFilter {
  const { limit } = options;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0))
    invalidQuery("limit", `limit is ${String(limit)}: use a whole number from 0.`);
  const schema = place?.store.schemaQueries;
  const filter = schema
    ? schema.parse(filterOf(options), place.store, place.entity)
    : parseUnknownFilter(filterOf(options));
  if (filter.search !== undefined)
    invalidQuery(
      "$search",
      "$search is not supported in a live query.",
      "Use useSearch, which repeats the search when rows change.",
    );
  return filter;
}

/** @throws QueryError if the options are invalid */
export function compile(options: QueryOptions, place: QueryPlace): CompiledQuery {
  const { where, order, limit, offset: from = 0 } = parse(options, place);
  return {
    view: {
      where,
      order,
      ...matcherOf({ where, order }, JSON.stringify(place.asked ?? conditionsOf(options)), place),
    },
    from,
    to: limit === undefined ? Infinity : from + limit,
  };
}

function matcherOf(
  { where, order }: Pick<ViewQuery, "where" | "order">,
  asked: string,
  { store, entity }: QueryPlace,
): Pick<ViewQuery, "key" | "matches" | "related"> {
  const schema = store.schemaQueries;
  // Without a schema, no relation leads to rows.
  const related = schema?.relatedEntities(where) ?? [];
  if (schema !== null && related.length > 0)
    return {
      key: JSON.stringify([where, order, asked]),
      related: [entity, ...related],
      matches: schema.relatedTest(where, store, (id) => store.isMember(entity, asked, id)),
    };
  const test = compileFilter(where);
  return {
    key: JSON.stringify([where, order]),
    matches: (row) => test({ data: row } satisfies Env),
  };
}

/** A filter without keys such as `$limit`. */
function conditionsOf(options: QueryOptions): DemandedQuery["where"] {
  const { $order: _order, $limit: _limit, $offset: _offset, ...where } = filterOf(options);
  return where;
}

/** Returns the query that loads the rows, up to the last one that is shown. */
function demandOf(entity: string, options: QueryOptions, query: CompiledQuery): DemandedQuery {
  const { $order: order } = filterOf(options);
  const limit = query.to === Infinity ? undefined : query.to;
  const include = options.include === undefined ? undefined : includeQuery(options.include);
  return { entity, where: conditionsOf(options), order, limit, include, ...matchesOf(query) };
}

/** Returns the part of a query that tests rows, as its source needs it. */
export function matchesOf({ view }: CompiledQuery): Pick<DemandedQuery, "matches" | "isRelated"> {
  return { matches: view.matches, isRelated: view.related !== undefined };
}

/** The same error is returned until the field types change. */
function compiledOrError(options: QueryOptions, place: QueryPlace): CompiledQuery | QueryError {
  try {
    return compile(options, place);
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
}

/** A live row; null if it does not exist. The object is stable until it changes. */
export interface LiveRow {
  /** As for a `LiveList`. */
  readonly isReady: () => boolean | null;
  readonly getSnapshot: () => Row | null;
  /** Calls the listener after the row has changed. @returns an unsubscribe function */
  readonly subscribe: (listener: () => void) => () => void;
}

/**
 * Returns one row of a replica, live, like `liveQuery` for lists.
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
