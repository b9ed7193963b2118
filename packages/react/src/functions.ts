import type { CallArgs, FunctionName, RegisteredFunctions } from "@pylonsync/sdk";
import { LOADING, type FunctionError } from "@pylonsync/sync";
import { keyOf, observeFunction, type Observable } from "@pylonsync/sync/bindings";
import { useMemo } from "react";
import { useEngine } from "./provider.tsx";
import { useObservable, type NameFor } from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The result of `useFunction`. The object is stable until something changes. */
export interface FunctionResult<R, X = Error> {
  /**
   * The newest result; null before the first. The value is stable until it changes, and shared with
   * other components: copy it before you modify it.
   */
  readonly data: R | null;
  /** True until the first result or error. */
  readonly loading: boolean;
  /** Why there is no newer result than `data`; null again after the next result. */
  readonly error: X | null;
}

/** With an explicit result type in place of the registered one. */
export function useFunction<R = never>(name: NameFor<R>, args?: Fields): FunctionResult<R>;
/**
 * The live result of a query function: it is updated when rows that the function read change.
 *
 * @param name the name of a function defined with `query`
 * @param args compared by value, so they may be written inline
 * @example
 * function OpenCount({ listId }: { listId: string }) {
 *   const { data, loading } = useFunction<number>("countOpen", { listId });
 *   return <p>{loading ? "..." : `${data} to do`}</p>;
 * }
 */
export function useFunction<N extends FunctionName>(
  name: N,
  ...args: CallArgs<RegisteredFunctions[N]["args"]>
): FunctionResult<
  RegisteredFunctions[N]["result"],
  FunctionError<RegisteredFunctions[N]["errors"]>
>;
export function useFunction(name: string, args: object = {}): FunctionResult<unknown> {
  return useLive(name, args);
}

/** Subscribes to a function call. @param args null: no subscription */
export function useLive(name: string, args: object | null): FunctionResult<unknown> {
  const sync = useEngine();
  // The arguments are data: arguments with equal JSON are equal.
  const key = keyOf(args);
  const live = useMemo(
    () => (args === null ? NOTHING : observeFunction(sync, name, { ...args })),
    [sync, name, key],
  );
  return useObservable(live, args === null ? IDLE : LOADING);
}

const IDLE: FunctionResult<never> = { data: null, loading: false, error: null };
/** The observable of an inactive subscription. */
const NOTHING: Observable<FunctionResult<never>> = {
  getSnapshot: () => IDLE,
  subscribe: () => () => undefined,
};
