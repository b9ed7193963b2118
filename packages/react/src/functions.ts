import type { FunctionName, RegisteredFunctions } from "@pylonsync/sdk";
import { LOADING, type LiveFunction } from "@pylonsync/sync";
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { useEngine } from "./provider.tsx";
import type { CallArgs } from "./mutations.ts";
import { asError, keyOf, type NameFor } from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A live function, as `useFunction` returns it: the same object until something changes. */
export interface FunctionResult<R> {
  /**
   * The newest result, null before the first one. The same value comes back until the server has
   * another one; other components are given it too, so copy it before you change it.
   */
  readonly data: R | null;
  /** Neither a result nor an error has come yet. */
  readonly loading: boolean;
  /** Why there is no newer result than `data`; null again with the next one. */
  readonly error: Error | null;
}

/** A live function, or what stands for one that can't be asked. */
interface Live extends Pick<LiveFunction, "subscribe"> {
  getSnapshot(): FunctionResult<unknown>;
}

/**
 * The result of a query function, live: it comes again when rows change that the function read.
 *
 * @param name of a function that is defined by `query`
 * @param args compared by value: they may be written inline
 * @example
 * function OpenCount({ listId }: { listId: string }) {
 *   const { data, loading } = useFunction<number>("countOpen", { listId });
 *   return <p>{loading ? "..." : `${data} to do`}</p>;
 * }
 */
export function useFunction<N extends FunctionName>(
  name: N,
  ...args: CallArgs<RegisteredFunctions[N]["args"]>
): FunctionResult<RegisteredFunctions[N]["result"]>;
/** The same with the result's type in place of the registered one. */
export function useFunction<R = never>(name: NameFor<R>, args?: Fields): FunctionResult<R>;
export function useFunction(name: string, args: object = {}): FunctionResult<unknown> {
  const sync = useEngine();
  // The arguments are data: two that read the same are the same.
  const key = keyOf(args);
  const live = useMemo((): Live => {
    try {
      return sync.live(name, { ...args });
    } catch (cause) {
      return refused(asError(cause));
    }
  }, [sync, name, key]);
  const subscribe = useCallback((notify: () => void) => live.subscribe(notify), [live]);
  const snapshot = useCallback(() => live.getSnapshot(), [live]);
  return useSyncExternalStore(subscribe, snapshot, loading);
}

/** What a server renders, and a page before it is alive. */
function loading(): FunctionResult<never> {
  return LOADING;
}

/** Of arguments that can't be sent. */
function refused(error: Error): Live {
  const state = { data: null, loading: false, error };
  return { getSnapshot: () => state, subscribe: () => () => undefined };
}
