import type { EntityName, RegisteredRows } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useMemo, useState } from "react";
import { useEngine } from "./provider.tsx";
import { useQuery, useStatus, type EntityQueryOptions, type QueryResult } from "./queries.ts";
import { useSession } from "./session.ts";

/** Rows that a server has loaded with the caller's session. */
export interface Preloaded<E extends EntityName> {
  readonly entity: E;
  readonly options: EntityQueryOptions<E>;
  readonly rows: readonly RegisteredRows[E][];
  /**
   * The user who may see the rows: they are not shown to other users, even if a router caches them.
   */
  readonly userId: string | null;
}

/**
 * A live list that is initially filled with rows from the server. The replica takes over when it
 * has the list's current rows.
 *
 * @param preloaded the result of `preloadQuery`
 * @param given default: the engine of the nearest provider, or the app's
 * @example
 * import type { Preloaded } from "@pylonsync/react";
 *
 * function Todos({ preloaded }: { preloaded: Preloaded<"Todo"> }) {
 *   const { data: todos } = usePreloadedQuery(preloaded);
 *   return <ul>{todos.map(({ id, title }) => <li key={id}>{title}</li>)}</ul>;
 * }
 */
export function usePreloadedQuery<E extends EntityName>(
  preloaded: Preloaded<E>,
  given?: SyncEngine,
): QueryResult<RegisteredRows[E]> {
  const sync = useEngine(given);
  const live = useQuery(sync, preloaded.entity, preloaded.options);
  const { userId } = useSession(sync);
  const { stale } = useStatus(sync);
  // Rows that the browser stored in an earlier visit are older than those that the server rendered.
  const ready = (live.isComplete && !stale) || live.error !== null;
  const [wasReady, setWasReady] = useState(ready);
  // When the replica is rebuilt, possibly for another user, the rendered rows of the previous user
  // must not reappear.
  if (ready && !wasReady) setWasReady(true);
  const isOld = ready || wasReady || userId !== preloaded.userId;
  const data = useMemo(
    () => (isOld ? live.data : withWrites(preloaded.rows, live.data)),
    [isOld, preloaded.rows, live.data],
  );
  return isOld ? live : { ...live, data, loading: false, isComplete: true };
}

/** Applies local writes that were made before the replica was loaded. */
function withWrites<R extends { readonly id: string }>(
  rows: readonly R[],
  written: readonly R[],
): R[] {
  if (written.length === 0) return [...rows];
  const ids = new Set(written.map(({ id }) => id));
  return [...rows.filter(({ id }) => !ids.has(id)), ...written];
}
