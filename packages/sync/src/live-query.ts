import type { Row } from "@pylonsync/protocol";
import { compilePredicate, parseFilter, sortRows, type Env } from "@pylonsync/query";
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
  getSnapshot(): readonly Row[];
  /** @returns stops it */
  subscribe(listener: () => void): () => void;
}

/**
 * The rows of a replica that match, live.
 *
 * @throws QueryError when the filter can't be understood
 */
export function liveQuery(store: LocalStore, entity: string, options: QueryOptions = {}): LiveList {
  const { where, order } = parseFilter({
    ...options.where,
    ...(options.orderBy === undefined ? {} : { $order: options.orderBy }),
  });
  const test = compilePredicate(where);
  const matches = (row: Row): boolean => test({ data: row } satisfies Env);
  let version = -1;
  let rows: readonly Row[] = [];
  return {
    getSnapshot() {
      const current = store.version(entity);
      if (current === version) return rows;
      version = current;
      const found = sortRows(store.list(entity).filter(matches), order).slice(0, options.limit);
      if (found.length !== rows.length || found.some((row, index) => row !== rows[index]))
        rows = found;
      return rows;
    },
    subscribe: (listener) => store.subscribe(entity, listener),
  };
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
