import type { Row } from "@pylonsync/protocol";
import type { SyncEngine } from "../engine/engine.ts";
import { liveRow, type LiveList, type QueryOptions } from "../replica/live-query.ts";
import { asError, constant, observe, type Observable } from "./observable.ts";

/** The state of a live list. */
export interface QueryState<R> {
  /** The rows, immediately available from the replica. The array is stable until a row changes. */
  readonly data: readonly R[];
  /** True while the replica is empty and not yet loaded: an empty list has no meaning then. */
  readonly loading: boolean;
  /** Whether the rows match a state of the server. */
  readonly isComplete: boolean;
  /** Set if the query is invalid, or the server rejects it. */
  readonly error: Error | null;
}

/** The state of a live row. `data` is null if the row does not exist. */
export interface RowState<R> {
  readonly data: R | null;
  readonly loading: boolean;
  readonly error: Error | null;
}

const NO_ROWS: readonly never[] = [];

/**
 * Observes the matching rows, with their loading state. An invalid query does not throw: it is
 * reported in `error`.
 *
 * @example
 * const todos = observeQuery(engine, "Todo", { where: { done: false } });
 * todos.subscribe(() => render(todos.getSnapshot().data));
 */
export function observeQuery(
  sync: SyncEngine,
  entity: string,
  options: QueryOptions = {},
): Observable<QueryState<Row>> {
  let list: LiveList;
  try {
    list = sync.query(entity, options);
  } catch (cause) {
    const error = asError(cause);
    return constant({ data: NO_ROWS, loading: false, isComplete: false, error });
  }
  const read = (): QueryState<Row> => {
    const { data = NO_ROWS, error } = valueOrError(() => list.getSnapshot());
    const isReady = list.isReady() ?? sync.status.ready;
    return {
      data,
      loading: !isReady && data.length === 0 && error === null,
      isComplete: isReady && error === null,
      error,
    };
  };
  return observe(read, (notify) => [list.subscribe(notify), sync.onStatus(notify)]);
}

/**
 * Observes one row, with its loading state.
 *
 * @example
 * const todo = observeRow(engine, "Todo", id);
 * todo.subscribe(() => render(todo.getSnapshot().data));
 */
export function observeRow(
  sync: SyncEngine,
  entity: string,
  id: string,
): Observable<RowState<Row>> {
  const row = liveRow(sync.store, entity, id);
  const read = (): RowState<Row> => {
    const { data = null, error } = valueOrError(() => row.getSnapshot());
    const isReady = row.isReady() ?? sync.status.ready;
    return { data, loading: !isReady && data === null && error === null, error };
  };
  return observe(read, (notify) => [row.subscribe(notify), sync.onStatus(notify)]);
}

/**
 * Filter values are checked against the field types once the replica is known, so the error may
 * come later.
 */
function valueOrError<T>(read: () => T): { readonly data?: T; readonly error: Error | null } {
  try {
    return { data: read(), error: null };
  } catch (cause) {
    return { error: asError(cause) };
  }
}
