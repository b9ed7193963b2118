import type {
  EntityName,
  FunctionName,
  RegisteredFunctions,
  RegisteredInserts,
  RegisteredPatches,
} from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useCallback, useMemo, useRef, useState } from "react";
import { callFn } from "./calls.ts";
import { useEngine } from "./provider.tsx";
import type { NameFor } from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;

type ArgsOf<N extends FunctionName> = RegisteredFunctions[N]["args"];
type ResultOf<N extends FunctionName> = RegisteredFunctions[N]["result"];
type Maybe<T> = T | null;

/** The arguments of a call: they may be left out where none has to be said. */
export type CallArgs<A> = Record<never, never> extends A ? [args?: A] : [args: A];

/** The state of a call, as `useMutation` returns it. */
export interface FunctionCalls<A, R> {
  /**
   * Calls the function. A failure is in `error` too, so that what comes back may be left alone.
   *
   * @throws PylonClientError
   */
  readonly mutate: (...args: CallArgs<A>) => Promise<R>;
  /** The same as `mutate`. */
  readonly mutateAsync: (...args: CallArgs<A>) => Promise<R>;
  readonly loading: boolean;
  /** Null until a call has succeeded. */
  readonly data: Maybe<R>;
  readonly error: Error | null;
  readonly reset: () => void;
}

/** The calls of a function that the app has registered, by its name. */
export type MutationState<N extends FunctionName> = FunctionCalls<ArgsOf<N>, ResultOf<N>>;

/** Options of `useMutation` without an engine. */
export interface MutationOptions {
  /** Takes the place of the signed-in session's. */
  readonly token?: string | undefined;
}

interface CallState {
  readonly loading: boolean;
  readonly data: unknown;
  readonly error: Error | null;
}

const IDLE: CallState = { loading: false, data: null, error: null };

/**
 * Calls a server function from a component. Of several calls under way the last one's outcome is
 * shown.
 *
 * @example
 * function ClearDone() {
 *   const { mutate, loading } = useMutation(useEngine(), "clearDone");
 *   return <button disabled={loading} onClick={() => void mutate()}>Clear</button>;
 * }
 */
export function useMutation<N extends FunctionName>(sync: SyncEngine, name: N): MutationState<N>;
/** The same with the types of arguments and result in place of the registered ones. */
export function useMutation<A = never, R = unknown>(
  sync: SyncEngine,
  name: NameFor<A>,
): FunctionCalls<A, R>;
/** The same with the engine of the provider above, or the app's, and perhaps another token. */
export function useMutation<N extends FunctionName>(
  name: N,
  options?: MutationOptions,
): MutationState<N>;
/** The same with the types of arguments and result in place of the registered ones. */
export function useMutation<A = never, R = unknown>(
  name: NameFor<A>,
  options?: MutationOptions,
): FunctionCalls<A, R>;
export function useMutation(
  syncOrName: SyncEngine | string,
  nameOrOptions: string | MutationOptions = {},
): FunctionCalls<never, unknown> {
  const isNamed = typeof syncOrName === "string";
  const sync = useEngine(isNamed ? undefined : syncOrName);
  const name = isNamed ? syncOrName : String(nameOrOptions);
  const token = typeof nameOrOptions === "string" ? undefined : nameOrOptions.token;
  return useCall(
    useCallback(
      (args: Fields) => (token === undefined ? sync.fn(name, args) : callFn(name, args, { token })),
      [sync, name, token],
    ),
  );
}

/**
 * The state of calls that a component makes.
 *
 * @param call the same one until another one is meant
 */
export function useCall(call: (args: Fields) => Promise<unknown>): FunctionCalls<never, unknown> {
  const [state, setState] = useState<CallState>(IDLE);
  // Of several calls under way the last one's outcome is shown.
  const latest = useRef(0);
  const mutate = useCallback(
    (args: Fields = {}): Promise<unknown> => {
      const number = (latest.current += 1);
      const show = (next: CallState): void => {
        if (number === latest.current) setState(next);
      };
      show({ loading: true, data: null, error: null });
      const done = callAndShow(call(args), show);
      // The failure is in `error`: a caller that ignores the promise has no unhandled rejection.
      done.catch(() => undefined);
      return done;
    },
    [call],
  );
  const reset = useCallback(() => {
    latest.current += 1;
    setState(IDLE);
  }, []);
  return { ...state, mutate, mutateAsync: mutate, reset };
}

async function callAndShow(
  answer: Promise<unknown>,
  show: (next: CallState) => void,
): Promise<unknown> {
  try {
    const data = await answer;
    show({ loading: false, data, error: null });
    return data;
  } catch (cause) {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    show({ loading: false, data: null, error });
    throw cause;
  }
}

/** The writes that `useEntityMutation` returns. */
export interface EntityMutations<E extends EntityName> {
  readonly insert: (data: RegisteredInserts[E]) => Promise<string>;
  readonly update: (id: string, patch: RegisteredPatches[E]) => Promise<void>;
  readonly remove: (id: string) => Promise<void>;
}

/**
 * Optimistic writes to one entity.
 *
 * @example
 * function DeleteTodo({ id }: { id: string }) {
 *   const { remove } = useEntityMutation(useEngine(), "Todo");
 *   return <button onClick={() => void remove(id)}>Delete</button>;
 * }
 */
export function useEntityMutation<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
): EntityMutations<E> {
  return useMemo(
    () => ({
      insert: (data) => sync.insert(entity, data),
      update: (id, patch) => sync.update(entity, id, patch),
      remove: (id) => sync.delete(entity, id),
    }),
    [sync, entity],
  );
}
