import { LIVE_AGGREGATE, LIVE_SEARCH } from "@pylonsync/protocol";
import type { SyncEngine } from "../engine/engine.ts";
import { unsendable } from "../outbox/plain.ts";
import { asError, constant, keyOf, observe, type Observable } from "./observable.ts";
import type { AggregateState, SearchState } from "./read-specs.ts";
import { whenTyped } from "./typed-searches.ts";

/** Something that the server reads for the page, live. */
export interface ServerRead<S> extends Observable<S> {
  /** Reads again now. */
  refresh(): void;
}

/** The response of the server. */
interface Answer {
  /** Null before the first response. */
  readonly data: unknown;
  readonly loading: boolean;
  readonly error: Error | null;
}

/**
 * Observes the results of an aggregate. The server sends them again when a change affects them,
 * whichever rows the page holds.
 *
 * @example
 * const counts = observeAggregate(engine, "Todo", { count: true, groupBy: ["done"] });
 * counts.subscribe(() => render(counts.getSnapshot().data));
 */
export function observeAggregate(
  sync: SyncEngine,
  entity: string,
  spec: object,
): ServerRead<AggregateState<unknown>> {
  return observeRead(sync, LIVE_AGGREGATE, { entity, spec }, ({ data: body, loading, error }) => ({
    data: isFields(body) && Array.isArray(body["rows"]) ? body["rows"] : null,
    loading,
    error,
  }));
}

/**
 * Observes a search, like `observeAggregate`. While its words are typed, that is, while one search
 * replaces another every 250 ms or faster, only the first and the last of them are sent.
 *
 * @example
 * const found = observeSearch(engine, "Todo", { query: "milk" });
 * found.subscribe(() => render(found.getSnapshot().hits));
 */
export function observeSearch(
  sync: SyncEngine,
  entity: string,
  spec: object,
): ServerRead<SearchState<unknown>> {
  return observeRead(sync, LIVE_SEARCH, { entity, spec }, ({ data: body, loading, error }) => ({
    ...SEARCHING,
    ...(isFields(body) ? body : null),
    loading,
    error,
  }));
}

/**
 * The state of a search without a response, as during server rendering.
 *
 * @example
 * let found = observeSearch(engine, "Todo", { query: "milk" }).getSnapshot();
 * if (typeof window === "undefined") found = SEARCHING;
 */
export const SEARCHING: SearchState<never> = {
  hits: [],
  facetCounts: {},
  total: 0,
  highlights: [],
  tookMs: 0,
  loading: true,
  error: null,
};

function isFields(body: unknown): body is Readonly<Record<string, unknown>> {
  return typeof body === "object" && body !== null;
}

/**
 * An option may be undefined, but not a part of it: a variable that is not set never widens a
 * filter.
 */
function checkDefined(value: unknown, at: string): void {
  if (value === undefined) throw unsendable(`"${at}" is undefined.`, at);
  if (isFields(value))
    for (const [key, part] of Object.entries(value)) checkDefined(part, `${at}.${key}`);
}

function observeRead<S extends object>(
  sync: SyncEngine,
  name: string,
  args: { readonly entity: string; readonly spec: object },
  show: (answer: Answer) => S,
): ServerRead<S> {
  try {
    for (const [option, value] of Object.entries(args.spec))
      if (value !== undefined) checkDefined(value, option);
    const live = sync.live(name, args);
    const state = observe(
      () => show(live.getSnapshot()),
      (notify) => {
        const follow = (): (() => void) => {
          const stop = live.subscribe(notify);
          // Another search with the same result may have loaded it in the meantime.
          notify();
          return stop;
        };
        return [name === LIVE_SEARCH ? whenTyped(sync, keyOf(args), follow) : follow()];
      },
    );
    return { ...state, refresh: () => live.refresh() };
  } catch (cause) {
    const refused = constant(show({ data: null, loading: false, error: asError(cause) }));
    return { ...refused, refresh: () => undefined };
  }
}
