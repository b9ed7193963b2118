import type { EntityName, RegisteredRows } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import {
  observeSearch,
  SEARCHING,
  type EntitySearchSpec,
  type ReadActions,
  type SearchSpec,
  type SearchState,
} from "@pylonsync/sync/bindings";
import { useEffect, useMemo, useRef } from "react";
import type { NameFor } from "./queries.ts";
import { useServerRead } from "./server-reads.ts";

export type { EntitySearchSpec, SearchHighlight, SearchSpec } from "@pylonsync/sync/bindings";

/** The result of `useSearch`. */
export interface UseSearchReturn<T> extends SearchState<T>, ReadActions {
  /**
   * The hits of the page, which the component may sort; while a new search is loading, those of the
   * previous one.
   */
  readonly hits: T[];
}

/** With an explicit row type in place of the registered one. */
export function useSearch<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  spec: SearchSpec,
): UseSearchReturn<T>;
/**
 * Searches on the server, live: a change of any row that may affect the hits leads to new ones,
 * whether or not the page holds the row. While the words are being typed, only the first letter and
 * the whole are searched for.
 *
 * @param spec compared by value, so it may be written inline
 * @example
 * function Found({ words }: { words: string }) {
 *   const { hits, total } = useSearch<{ id: string; title: string }>(useEngine(), "Todo", {
 *     query: words,
 *   });
 *   return <p>{hits.map(({ title }) => title).join(", ")} ({total})</p>;
 * }
 */
export function useSearch<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
  spec: EntitySearchSpec<E>,
): UseSearchReturn<RegisteredRows[E]>;
export function useSearch(
  sync: SyncEngine,
  entity: string,
  spec: object,
): UseSearchReturn<unknown> {
  const { error, refresh, ...own } = useServerRead(observeSearch, SEARCHING, sync, entity, spec);
  // Another object after the user, the tenant or the roles have changed.
  const session = sync.session.current;
  const last = useRef<Shown>({ sync, entity, session, found: SEARCHING });
  const { current } = last;
  const isOfCaller =
    current.sync === sync && current.entity === entity && current.session === session;
  const found = own.loading && isOfCaller ? current.found : own;
  useEffect(() => {
    last.current = { sync, entity, session, found };
  });
  // A copy that the component may sort: equal searches of a page share their result.
  const hits = useMemo(() => [...found.hits], [found.hits]);
  return { ...found, hits, loading: own.loading, error, refresh };
}

type Found = Omit<SearchState<unknown>, "error">;

/** What a component showed last: the hits of a search stay while the next one is loading. */
interface Shown {
  readonly sync: SyncEngine;
  readonly entity: string;
  readonly session: SyncEngine["session"]["current"];
  readonly found: Found;
}
