import type { PylonClientError } from "../connection/errors.ts";
import { toPlain } from "../outbox/plain.ts";
import type { Lazy } from "../platform/lazy.ts";
import type { LazyFunctions } from "./lazy-functions.ts";

/** The state of a live function. The object is stable until something changes. */
export interface LiveFunctionState<R = unknown> {
  /**
   * The newest result; null before the first. The value is stable until it changes, and shared by
   * all subscribers: do not modify it.
   */
  readonly data: R | null;
  /** True until the first result or error. */
  readonly loading: boolean;
  /** Why there is no newer result than `data`; null again after the next result. */
  readonly error: PylonClientError | null;
}

/** The live result of a query function. */
export interface LiveFunction<R = unknown> {
  getSnapshot(): LiveFunctionState<R>;
  /** Calls the listener after a change. @returns an unsubscribe function */
  subscribe(listener: () => void): () => void;
  /** Calls the function now, while it is subscribed; rarely needed, because the result is live. */
  refresh(): void;
}

/** The initial state of a live function. */
export const LOADING: LiveFunctionState<never> = Object.freeze({
  data: null,
  loading: true,
  error: null,
});

/** A function and its arguments; equal calls have the same key. */
export interface FunctionCall {
  readonly key: string;
  readonly name: string;
  readonly args: unknown;
}

/**
 * Returns a live function, which also works before the code that updates it is loaded.
 *
 * @param prefetch loads this code in parallel with everything else
 * @throws PylonClientError `UNSENDABLE` for arguments that can't be represented in JSON
 */
export function liveFunction(
  online: Pick<Lazy<{ readonly functions: LazyFunctions }>, "part" | "during">,
  name: string,
  given: Readonly<Record<string, unknown>>,
  prefetch: () => void = () => undefined,
): LiveFunction {
  const args = toPlain(given);
  const call = { key: JSON.stringify([name, sorted(args)]), name, args };
  return {
    getSnapshot: () => online.part?.functions.stateOf(call) ?? LOADING,
    subscribe: (listener) => {
      prefetch();
      return online.during(({ functions }) => functions.subscribe(call, listener));
    },
    refresh: () => online.part?.functions.refresh(call),
  };
}

/** Sorts the keys of objects, so that equal arguments have equal JSON. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, part]) => [key, sorted(part)] as const)
      .toSorted(([one], [other]) => (one < other ? -1 : 1)),
  );
}
