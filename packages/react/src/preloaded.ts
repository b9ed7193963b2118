import type { EntityName, RegisteredRows } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useMemo, useState } from "react";
import { useEngine } from "./provider.tsx";
import { useQuery, useStatus, type EntityQueryOptions, type QueryResult } from "./queries.ts";
import { useSession } from "./session.ts";

/** Rows that a server has read with its caller's session. */
export interface Preloaded<E extends EntityName> {
  readonly entity: E;
  readonly options: EntityQueryOptions<E>;
  readonly rows: readonly RegisteredRows[E][];
  /** Whose rows they are: nobody else is shown them, whatever a router keeps. */
  readonly userId: string | null;
}

/**
 * A live list that begins with rows from the server: they are shown at once, and the replica takes
 * over when it holds what the server has.
 *
 * @param preloaded the answer of `preloadQuery`
 * @param given by default the engine of the provider above, or the app's
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
  const { ready: isThere, stale } = useStatus(sync);
  // What the browser kept of an earlier visit is older than what the server has rendered.
  const ready = isThere && !stale;
  const [wasReady, setWasReady] = useState(ready);
  // A replica that is rebuilt, perhaps for another user, must not bring back what was rendered for
  // the one before.
  if (ready && !wasReady) setWasReady(true);
  const isOld = ready || wasReady || userId !== preloaded.userId;
  const data = useMemo(
    () => (isOld ? live.data : withWrites(preloaded.rows, live.data)),
    [isOld, preloaded.rows, live.data],
  );
  return isOld ? live : { ...live, data, loading: false, isComplete: true };
}

/** What was written before the replica came lies over the rows. */
function withWrites<R extends { readonly id: string }>(
  rows: readonly R[],
  written: readonly R[],
): R[] {
  if (written.length === 0) return [...rows];
  const ids = new Set(written.map(({ id }) => id));
  return [...rows.filter(({ id }) => !ids.has(id)), ...written];
}
