import type { Observable } from "@pylonsync/sync/bindings";
import { createSubscriber } from "svelte/reactivity";

/** A state: its initial value, and a getter of the current value for tracking. */
export interface Live<T> {
  readonly first: T;
  readonly current: () => T;
}

/**
 * Subscribes to an observable while an effect or a template reads it.
 *
 * @param key identifies the observable
 */
export function live<T>(key: () => string, make: () => Observable<T>): Live<T> {
  let followed = follow(key(), make());
  return {
    first: followed.observable.getSnapshot(),
    current: () => {
      const wanted = key();
      if (wanted !== followed.key) followed = follow(wanted, make());
      followed.listen();
      return followed.observable.getSnapshot();
    },
  };
}

function follow<T>(key: string, observable: Observable<T>) {
  return { key, observable, listen: createSubscriber((update) => observable.subscribe(update)) };
}
