import type { EntityName, RegisteredRows } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { EntityFilter, NameFor } from "./queries.ts";
import { Refresher } from "./refresher.ts";

/** Searches that follow each other faster than this are typed, in milliseconds. */
const TYPING_MS = 250;

/** The options of `useSearch`. Only rows that the caller may read are searched. */
export interface SearchSpec {
  /** The words to search for, all of which must match. Without it all rows match. */
  readonly query?: string | undefined;
  /** A filter like the `where` of a query: `{brand: "x", price: {$lt: 100}}`. */
  readonly filters?: Readonly<Record<string, unknown>> | undefined;
  /** The facets to count; default: all declared facets. */
  readonly facets?: readonly string[] | undefined;
  /** A declared sort field and the direction; default: by rank. */
  readonly sort?: readonly [field: string, direction: "asc" | "desc"] | undefined;
  /** The page number, from 0. */
  readonly page?: number | undefined;
  /** The number of hits per page, from 1 to 100; default 20. */
  readonly pageSize?: number | undefined;
  /** True: also returns the positions of the words in each hit. */
  readonly highlight?: boolean | undefined;
}

/** `SearchSpec` for a registered entity. */
export interface EntitySearchSpec<E extends EntityName> extends Omit<
  SearchSpec,
  "filters" | "facets" | "sort"
> {
  readonly filters?: EntityFilter<E> | undefined;
  readonly facets?: readonly (keyof RegisteredRows[E] & string)[] | undefined;
  readonly sort?:
    | readonly [field: keyof RegisteredRows[E] & string, direction: "asc" | "desc"]
    | undefined;
}

/** An excerpt of a text, with the positions of the matched words: start and end, in characters. */
export interface SearchHighlight {
  readonly text: string;
  readonly marks: readonly (readonly [start: number, end: number])[];
}

/** The result of `useSearch`. */
export interface UseSearchReturn<T> {
  /** The hits of the page; while a new search is loading, those of the previous one. */
  readonly hits: T[];
  /** The number of hits per value of each facet, without the filter on the facet itself. */
  readonly facetCounts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The number of matching rows on all pages. */
  readonly total: number;
  /** One entry per hit, by field; empty without `highlight`. */
  readonly highlights: readonly Readonly<Record<string, SearchHighlight>>[];
  /** The duration on the server in milliseconds, of the first response with these hits. */
  readonly tookMs: number;
  /** True until this search has a response. */
  readonly loading: boolean;
  /** The error of this search. */
  readonly error: Error | null;
  readonly refresh: () => void;
}

/** With an explicit row type in place of the registered one. */
export function useSearch<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  spec: SearchSpec,
): UseSearchReturn<T>;
/**
 * Searches on the server, and again shortly after rows of the entity have changed. While the words
 * are being typed, it waits until 250 ms after the last letter.
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
  const key = JSON.stringify(spec);
  const question = useMemo(() => ({ sync, entity, key }), [sync, entity, key]);
  const [answer, setAnswer] = useState<Answer>({ question, found: NOTHING, error: null });
  const refresher = useMemo(
    () =>
      new Refresher({
        sync,
        entity,
        ask: () =>
          sync.request("POST", `/api/search/${encodeURIComponent(entity)}`, JSON.parse(key)),
        onAnswer: (body) => setAnswer({ question, found: foundIn(body), error: null }),
        // Excluded from the comparison, because the duration differs each time.
        compared: (body) => ({ ...foundIn(body), tookMs: 0 }),
        onError: (error) =>
          setAnswer((before) => ({
            question,
            found: before.question === question ? before.found : NOTHING,
            error,
          })),
      }),
    [sync, entity, key, question],
  );
  const askedAt = useRef(-Infinity);
  useEffect(() => {
    const now = sync.platform.now();
    // While words are typed, only the first and the last of them are searched for.
    const delayMs = now - askedAt.current < TYPING_MS ? TYPING_MS : 0;
    askedAt.current = now;
    return refresher.start(delayMs);
  }, [refresher, sync]);
  const refresh = useCallback(() => refresher.refresh(), [refresher]);
  const isAnswered = answer.question === question;
  const isOfEntity = answer.question.sync === sync && answer.question.entity === entity;
  const error = isAnswered ? answer.error : null;
  const found = isAnswered || isOfEntity ? answer.found : NOTHING;
  const loading = error === null && (!isAnswered || found === NOTHING);
  return { ...found, loading, error, refresh };
}

type Found = Omit<UseSearchReturn<unknown>, "loading" | "error" | "refresh">;

interface Answer {
  readonly question: { readonly sync: SyncEngine; readonly entity: string };
  readonly found: Found;
  readonly error: Error | null;
}

const NOTHING: Found = { hits: [], facetCounts: {}, total: 0, highlights: [], tookMs: 0 };

function foundIn(body: unknown): Found {
  return { ...NOTHING, ...(typeof body === "object" ? body : null) };
}
