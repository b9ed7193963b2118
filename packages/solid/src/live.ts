import type { Observable } from "@pylonsync/sync/bindings";
import { createMemo, createSignal, onCleanup, untrack } from "solid-js";

/** A state: its initial value, and a getter of the current value for tracking. */
export interface Live<T> {
  readonly first: T;
  readonly current: () => T;
}

/**
 * Subscribes to an observable until its owner is disposed.
 *
 * @param key identifies the observable
 */
export function live<T extends object>(key: () => string, make: () => Observable<T>): Live<T> {
  const wanted = createMemo(key);
  const state = createMemo(() => {
    wanted();
    const observable = untrack(make);
    const [read, write] = createSignal(observable.getSnapshot());
    const show = (): void => {
      write(() => observable.getSnapshot());
    };
    // A server only renders the initial value.
    if (typeof document === "undefined") return read;
    onCleanup(observable.subscribe(show));
    show();
    return read;
  });
  return { first: untrack(() => state()()), current: () => state()() };
}
