import type { Row } from "@pylonsync/protocol";
import {
  compilePredicate,
  parseFilter,
  QueryError,
  sortRows,
  type EntityShape,
  type Env,
  type Order,
} from "@pylonsync/query";
import type { LocalStore } from "./local-store.ts";

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
  /** @throws QueryError when a value of the filter does not fit the kind of its field */
  getSnapshot(): readonly Row[];
  /** @returns stops it */
  subscribe(listener: () => void): () => void;
}

/**
 * The rows of a replica that match, live.
 *
 * Values mean what they mean on the server: the kinds of the fields come with the replica. A value
 * that does not fit its field is an error, at once where the kind is known, else of `getSnapshot`
 * when it is.
 *
 * @throws QueryError when the filter can't be understood
 */
export function liveQuery(store: LocalStore, entity: string, options: QueryOptions = {}): LiveList {
  let shape = store.shape(entity);
  let query: CompiledQuery | QueryError = compile(options, shape);
  let version = -1;
  let rows: readonly Row[] = [];
  return {
    getSnapshot() {
      if (store.shape(entity) !== shape) {
        shape = store.shape(entity);
        query = compiledOrError(options, shape);
        version = -1;
      }
      if (query instanceof QueryError) throw query;
      const current = store.version(entity);
      if (current === version) return rows;
      version = current;
      const found = select(store.list(entity), query);
      if (found.length !== rows.length || found.some((row, index) => row !== rows[index]))
        rows = found;
      return rows;
    },
    subscribe: (listener) => store.subscribe(entity, listener),
  };
}

/**
 * The options as the filter of `POST /api/query/Entity`, checked before JSON drops what is
 * undefined and makes null of NaN.
 *
 * @throws QueryError when the filter can't be understood
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

interface CompiledQuery {
  readonly matches: (row: Row) => boolean;
  readonly order: readonly Order[];
  readonly limit: number | undefined;
  readonly offset: number;
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
  const test = compilePredicate(filter.where);
  return {
    matches: (row) => test({ data: row } satisfies Env),
    order: filter.order,
    limit: filter.limit,
    offset: filter.offset ?? 0,
  };
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

function select(rows: readonly Row[], { matches, order, limit, offset }: CompiledQuery): Row[] {
  const end = limit === undefined ? undefined : offset + limit;
  return sortRows(rows.filter(matches), order).slice(offset, end);
}

/**
 * One row that is always up to date; null when it is not there. The same object comes back until it
 * changes.
 */
export interface LiveRow {
  readonly getSnapshot: () => Row | null;
  /** @returns stops it */
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
  return {
    getSnapshot: () => store.get(entity, id),
    subscribe: (listener) => store.subscribe(entity, listener),
  };
}
