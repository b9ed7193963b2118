import type {
  CallArgs,
  EntityName,
  FunctionName,
  RegisteredFunctions,
  RegisteredInserts,
  RegisteredPatches,
  RegisteredRows,
} from "@pylonsync/sdk";
import type { FunctionError, SyncEngine } from "@pylonsync/sync";
import { callShowing, type OptimisticStore as SyncStore } from "@pylonsync/sync/bindings";
import { useCallback, useMemo, useRef, useState } from "react";
import { callFn } from "./calls.ts";
import { useEngine } from "./provider.tsx";
import type { NameFor } from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;

type ArgsOf<N extends FunctionName> = RegisteredFunctions[N]["args"];
type ResultOf<N extends FunctionName> = RegisteredFunctions[N]["result"];
type FailureOf<N extends FunctionName> = FunctionError<RegisteredFunctions[N]["errors"]>;
type Maybe<T> = T | null;

/** The result of `useMutation`: the functions to call, and the state of the call. */
export interface FunctionCalls<A, R, X = Error> {
  /**
   * Calls the function. A failure is also stored in `error`, so that the promise may be ignored.
   *
   * @throws PylonClientError
   */
  readonly mutate: (...args: CallArgs<A>) => Promise<R>;
  /** An alias of `mutate`. */
  readonly mutateAsync: (...args: CallArgs<A>) => Promise<R>;
  readonly loading: boolean;
  /** Null until a call has succeeded. */
  readonly data: Maybe<R>;
  /**
   * The error of the last call; `code` distinguishes the errors that the function declares, with
   * their `data`.
   */
  readonly error: Maybe<X>;
  readonly reset: () => void;
  /**
   * Returns the same calls with an optimistic update: each call immediately shows the writes that
   * the function is about to make, and rolls them back if the call fails. Define the update outside
   * the component, so that `mutate` stays stable.
   */
  withOptimistic(update: OptimisticUpdate<A>): FunctionCalls<A, R, X>;
}

/** Applies the writes that a call with these arguments is about to make. Must be synchronous. */
export type OptimisticUpdate<A> = (store: OptimisticStore, args: A) => void;

/** The rows of the page, as an optimistic update reads and writes them. */
export interface OptimisticStore {
  /** Returns the row, or null. */
  get<E extends EntityName>(entity: E, id: string): RegisteredRows[E] | null;
  /** Returns all rows of the entity in the replica, in no particular order. */
  list<E extends EntityName>(entity: E): readonly RegisteredRows[E][];
  /**
   * Inserts a row locally. The function should insert it with the same id, so that the server's row
   * replaces it and the two are never shown together.
   *
   * @returns the row's id
   */
  insert<E extends EntityName>(entity: E, data: Partial<RegisteredRows[E]>): string;
  update<E extends EntityName>(entity: E, id: string, patch: RegisteredPatches[E]): void;
  delete(entity: EntityName, id: string): void;
}

/** The calls of a registered function, by its name. */
export type MutationState<N extends FunctionName> = FunctionCalls<
  ArgsOf<N>,
  ResultOf<N>,
  FailureOf<N>
>;

/** Options of `useMutation` without an engine. */
export interface MutationOptions {
  /** Overrides the session's token. */
  readonly token?: string | undefined;
}

interface CallState {
  readonly loading: boolean;
  readonly data: unknown;
  readonly error: Error | null;
}

const IDLE: CallState = { loading: false, data: null, error: null };

/** With explicit types for arguments and result in place of the registered ones. */
export function useMutation<A = never, R = unknown>(
  sync: SyncEngine,
  name: NameFor<A>,
): FunctionCalls<A, R>;
/** With explicit types for arguments and result in place of the registered ones. */
export function useMutation<A = never, R = unknown>(
  name: NameFor<A>,
  options?: MutationOptions,
): FunctionCalls<A, R>;
/**
 * Calls a server function from a component. With concurrent calls, the state is that of the last
 * one.
 *
 * @example
 * function ClearDone() {
 *   const { mutate, loading } = useMutation(useEngine(), "clearDone");
 *   return <button disabled={loading} onClick={() => void mutate()}>Clear</button>;
 * }
 */
export function useMutation<N extends FunctionName>(sync: SyncEngine, name: N): MutationState<N>;
/** With the engine of the nearest provider, or the app's, and optionally another token. */
export function useMutation<N extends FunctionName>(
  name: N,
  options?: MutationOptions,
): MutationState<N>;
export function useMutation(
  syncOrName: SyncEngine | string,
  nameOrOptions: string | MutationOptions = {},
): FunctionCalls<Fields, unknown> {
  const isNamed = typeof syncOrName === "string";
  const sync = useEngine(isNamed ? undefined : syncOrName);
  const name = isNamed ? syncOrName : String(nameOrOptions);
  const token = typeof nameOrOptions === "string" ? undefined : nameOrOptions.token;
  const call = useCallback(
    (args: Fields) => (token === undefined ? sync.fn(name, args) : callFn(name, args, { token })),
    [sync, name, token],
  );
  return useCall(sync, call);
}

type Mutate = (args?: Fields) => Promise<unknown>;
type AnyUpdate = OptimisticUpdate<Fields>;

/**
 * Tracks the state of a component's calls.
 *
 * @param call must be the same function as long as the call is the same
 */
function useCall(
  sync: SyncEngine,
  call: (args: Fields) => Promise<unknown>,
): FunctionCalls<Fields, unknown> {
  const [state, setState] = useState<CallState>(IDLE);
  // With concurrent calls, only the last one updates the state.
  const latest = useRef(0);
  const start = useCallback((answer: Promise<unknown>): Promise<unknown> => {
    const number = (latest.current += 1);
    const show = (next: CallState): void => {
      if (number === latest.current) setState(next);
    };
    show({ loading: true, data: null, error: null });
    const done = callAndShow(answer, show);
    // The failure is stored in `error`, so an ignored promise must not cause an unhandled
    // rejection.
    done.catch(() => undefined);
    return done;
  }, []);
  const mutate = useCallback<Mutate>((args = {}) => start(call(args)), [start, call]);
  // The same update returns the same function.
  const optimistic = useMemo(() => new WeakMap<AnyUpdate, Mutate>(), [start, call, sync]);
  const reset = useCallback(() => {
    latest.current += 1;
    setState(IDLE);
  }, []);
  const callsBy = (by: Mutate): FunctionCalls<Fields, unknown> => ({
    ...state,
    mutate: by,
    mutateAsync: by,
    reset,
    withOptimistic: (update: AnyUpdate) => {
      const known = optimistic.get(update);
      const showing: Mutate = (args = {}) => {
        // The app's types describe rows of which the engine only knows that they have an id.
        const show = (store: SyncStore): void => update(store as never, args);
        return start(callShowing(sync, show, () => call(args)));
      };
      if (known === undefined) optimistic.set(update, showing);
      return callsBy(known ?? showing);
    },
  });
  return callsBy(mutate);
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

/** The result of `useEntityMutation`. */
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
