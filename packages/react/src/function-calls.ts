import type { CallArgs, FunctionName, RegisteredFunctions } from "@pylonsync/sdk";
import type { FunctionError, SyncEngine } from "@pylonsync/sync";
import { useCallback } from "react";
import { useMutation, type FunctionCalls, type MutationOptions } from "./mutations.ts";
import type { NameFor } from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;
type Args<N extends FunctionName> = RegisteredFunctions[N]["args"];
type Result<N extends FunctionName> = RegisteredFunctions[N]["result"];
type Failure<N extends FunctionName> = FunctionError<RegisteredFunctions[N]["errors"]>;

/** Options of `useFn`. */
export type UseFnOptions = MutationOptions;

/** The result of `useFn`. */
export interface UseFnReturn<A, R, X = Error> extends Pick<
  FunctionCalls<A, R, X>,
  "loading" | "data" | "error" | "reset"
> {
  /** Calls the function. @throws PylonClientError, which is also stored in `error` */
  readonly call: (...args: CallArgs<A>) => Promise<R>;
}

/** With explicit types for arguments and result in place of the registered ones. */
export function useFn<A = never, R = unknown>(
  name: NameFor<A>,
  options?: UseFnOptions,
): UseFnReturn<A, R>;
/**
 * Calls a server function from a component, like `useMutation`, with the default engine.
 *
 * @example
 * function ClearDone() {
 *   const { call, loading } = useFn("clearDone");
 *   return <button disabled={loading} onClick={() => void call()}>Clear</button>;
 * }
 */
export function useFn<N extends FunctionName>(
  name: N,
  options?: UseFnOptions,
): UseFnReturn<Args<N>, Result<N>, Failure<N>>;
export function useFn(name: string, options?: UseFnOptions): UseFnReturn<never, unknown> {
  const { mutate, loading, data, error, reset } = useMutation<Fields>(name, options);
  return { call: mutate, loading, data, error, reset };
}

/** With explicit types for arguments and result in place of the registered ones. */
export function useAction<A = never, R = unknown>(
  sync: SyncEngine,
  name: NameFor<A>,
): (...args: CallArgs<A>) => Promise<R>;
/**
 * Returns a function that calls a server function, without tracking its state.
 *
 * @example
 * function ClearDone() {
 *   const clear = useAction(useEngine(), "clearDone");
 *   return <button onClick={() => void clear()}>Clear</button>;
 * }
 */
export function useAction<N extends FunctionName>(
  sync: SyncEngine,
  name: N,
): (...args: CallArgs<Args<N>>) => Promise<Result<N>>;
export function useAction(sync: SyncEngine, name: string): (args?: Fields) => Promise<unknown> {
  return useCallback((args: Fields = {}) => sync.fn(name, args), [sync, name]);
}
