import type {
  EntityName,
  FunctionName,
  RegisteredFunctions,
  RegisteredInserts,
  RegisteredPatches,
} from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useCallback, useMemo, useRef, useState } from "react";

type ArgsOf<N extends FunctionName> = RegisteredFunctions[N]["args"];
type Maybe<T> = T | null;
type ResultOf<N extends FunctionName> = RegisteredFunctions[N]["result"];

/**
 * Calls a function whose types the app has registered: the server checks the arguments, and the
 * result is what its handler returned.
 */
export async function callTyped<N extends FunctionName>(
  sync: SyncEngine,
  name: N,
  args: ArgsOf<N>,
): Promise<ResultOf<N>> {
  return (await sync.fn(name, args as Readonly<Record<string, unknown>>)) as ResultOf<N>;
}

/** The state of a call, as `useMutation` returns it. */
export interface MutationState<N extends FunctionName> {
  /** Calls the function; a failure is in `error`. */
  readonly mutate: (args: ArgsOf<N>) => void;
  /** Calls the function. @throws PylonClientError */
  readonly mutateAsync: (args: ArgsOf<N>) => Promise<ResultOf<N>>;
  readonly loading: boolean;
  /** Null until a call has succeeded. */
  readonly data: Maybe<ResultOf<N>>;
  readonly error: Error | null;
  readonly reset: () => void;
}

interface CallState<Result> {
  readonly loading: boolean;
  readonly data: Maybe<Result>;
  readonly error: Error | null;
}

const IDLE: CallState<never> = { loading: false, data: null, error: null };

/**
 * Calls a server function from a component. Of several calls under way the last one's outcome is
 * shown.
 *
 * @example
 * function ClearDone() {
 *   const { mutate, loading } = useMutation(useEngine(), "clearDone");
 *   return <button disabled={loading} onClick={() => mutate({})}>Clear</button>;
 * }
 */
export function useMutation<N extends FunctionName>(sync: SyncEngine, name: N): MutationState<N> {
  const [state, setState] = useState<CallState<ResultOf<N>>>(IDLE);
  // Of several calls under way the last one's outcome is shown.
  const latest = useRef(0);
  const mutateAsync = useCallback(
    async (args: ArgsOf<N>): Promise<ResultOf<N>> => {
      const call = (latest.current += 1);
      const show = (next: CallState<ResultOf<N>>): void => {
        if (call === latest.current) setState(next);
      };
      show({ loading: true, data: null, error: null });
      try {
        const data = await callTyped(sync, name, args);
        show({ loading: false, data, error: null });
        return data;
      } catch (cause) {
        show({
          loading: false,
          data: null,
          error: cause instanceof Error ? cause : new Error(String(cause)),
        });
        throw cause;
      }
    },
    [sync, name],
  );
  // The failure is in `error`, where the component shows it.
  const mutate = useCallback(
    (args: ArgsOf<N>) => void mutateAsync(args).catch(() => undefined),
    [mutateAsync],
  );
  const reset = useCallback(() => {
    latest.current += 1;
    setState(IDLE);
  }, []);
  return {
    mutate,
    mutateAsync,
    reset,
    loading: state.loading,
    data: state.data,
    error: state.error,
  };
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
