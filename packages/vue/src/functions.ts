import type { CallArgs, FunctionName, NameFor, RegisteredFunctions } from "@pylonsync/sdk";
import type { FunctionError } from "@pylonsync/sync";
import {
  FunctionCalls,
  keyOf,
  observeFunction,
  type CallState,
  type FunctionState,
} from "@pylonsync/sync/bindings";
import { toValue, type MaybeRefOrGetter } from "vue";
import { useEngine } from "./engine.ts";
import { live, refsOf, type Refs } from "./live.ts";

type Fields = Readonly<Record<string, unknown>>;
type Args<N extends FunctionName> = RegisteredFunctions[N]["args"];
type Result<N extends FunctionName> = RegisteredFunctions[N]["result"];
/** The error, with the codes and data that the function declares. */
type Failure<N extends FunctionName> = FunctionError<RegisteredFunctions[N]["errors"]>;
/** The arguments, which may be omitted if none is required. */
type MaybeArgs<A> =
  Record<never, never> extends A ? [args?: MaybeRefOrGetter<A>] : [args: MaybeRefOrGetter<A>];

/** The result of `useMutation`. */
export type Mutation<A, R, X = Error> = Refs<CallState<R, X>> & {
  /**
   * Calls the function. A failure is also stored in `error`, so that the promise may be ignored.
   *
   * @throws PylonClientError
   */
  readonly mutate: (...args: CallArgs<A>) => Promise<R>;
  readonly reset: () => void;
};

/**
 * The live result of a query function: it is updated when rows that the function read change.
 *
 * @param args compared by value, so they may be written inline; a ref or a getter is tracked
 * @example
 * const { data, loading } = useFunction<number>("countOpen", () => ({ listId: id }));
 */
export function useFunction<N extends FunctionName>(
  name: N,
  ...args: MaybeArgs<Args<N>>
): Refs<FunctionState<Result<N>, Failure<N>>>;
/** With an explicit result type in place of the registered one. */
export function useFunction<R = never>(
  name: NameFor<R>,
  args?: MaybeRefOrGetter<Fields>,
): Refs<FunctionState<R>>;
export function useFunction(
  name: string,
  args: MaybeRefOrGetter<object> = {},
): Refs<FunctionState<unknown>> {
  const sync = useEngine();
  const read = (): Fields => ({ ...toValue(args) });
  return refsOf(
    live(
      () => keyOf(read()),
      () => observeFunction(sync, name, read()),
    ),
  );
}

/**
 * Calls a server function. With concurrent calls, the state is that of the last one.
 *
 * @example
 * const { mutate, loading } = useMutation("clearDone");
 */
export function useMutation<N extends FunctionName>(
  name: N,
): Mutation<Args<N>, Result<N>, Failure<N>>;
/** With explicit types for arguments and result in place of the registered ones. */
export function useMutation<A = never, R = unknown>(name: NameFor<A>): Mutation<A, R>;
export function useMutation(name: string): Mutation<never, unknown> {
  const calls = new FunctionCalls(useEngine(), name);
  const { mutate, reset } = calls;
  return {
    ...refsOf(
      live(
        () => name,
        () => calls,
      ),
    ),
    mutate,
    reset,
  };
}
