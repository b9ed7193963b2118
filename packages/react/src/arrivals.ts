import type { SyncEngine } from "@pylonsync/sync";
import { keyOf, type Observable } from "@pylonsync/sync/bindings";
import { use } from "react";
import { isServer } from "./client.ts";

/** How long an arrived value is kept for the component that waits for it, in milliseconds. */
const HOLD_MS = 1_000;

type Value = Observable<{ readonly loading: boolean }>;

/**
 * The promise on which components are suspended. A component has no state before its first render.
 */
interface Arrival {
  readonly value: Value;
  readonly promise: Promise<void>;
  isOver: boolean;
}

const arrivals = new WeakMap<SyncEngine, Map<string, Arrival>>();

/**
 * Suspends the component until a value is available. Meanwhile it subscribes on behalf of the
 * component, because only values with subscribers are loaded.
 *
 * @param question a key that identifies the value
 * @param isLoading whether the component has no value yet
 * @throws Error during server rendering, where no value arrives
 */
export function useArrival(
  sync: SyncEngine,
  question: unknown,
  isLoading: boolean,
  make: () => Value,
): void {
  const key = keyOf(question);
  const all = arrivals.get(sync) ?? new Map<string, Arrival>();
  arrivals.set(sync, all);
  const known = all.get(key);
  // The value may have been removed since, because another user has signed in.
  const isKnown = known !== undefined && !(known.isOver && known.value.getSnapshot().loading);
  const arrival = isKnown || !isLoading ? known : follow(sync, all, key, make());
  // Suspend even if the value is available: React checks the promise of a suspended render again.
  if (arrival !== undefined) use(arrival.promise);
}

/** Returns undefined if there is nothing to wait for. */
function follow(
  sync: SyncEngine,
  all: Map<string, Arrival>,
  key: string,
  value: Value,
): Arrival | undefined {
  if (!value.getSnapshot().loading) return undefined;
  if (isServer())
    throw new Error(
      "Queries are not loaded during server rendering. Wrap the component in <Suspense>, whose " +
        "fallback is then rendered, or use usePreloadedQuery.",
    );
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  const arrival: Arrival = { value, promise, isOver: false };
  all.set(key, arrival);
  const end = (): void => {
    stop();
    if (all.get(key) === arrival) all.delete(key);
  };
  const look = (): void => {
    if (arrival.isOver || value.getSnapshot().loading) return;
    arrival.isOver = true;
    resolve();
    sync.platform.after(HOLD_MS, end);
  };
  const stop = value.subscribe(look);
  look();
  return arrival;
}
