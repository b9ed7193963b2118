import type { Observable } from "@pylonsync/sync/bindings";
import { computed, customRef, watch, type ComputedRef, type Ref } from "vue";

/** The fields of a state, each as a ref for templates and effects. */
export type Refs<T> = { readonly [Name in keyof T]: ComputedRef<T[Name]> };

/**
 * Subscribes to an observable until the component or the scope is disposed.
 *
 * @param key identifies the observable
 */
export function live<T extends object>(key: () => string, make: () => Observable<T>): Ref<T> {
  let observable = make();
  let show = (): void => undefined;
  const state = customRef<T>((track, trigger) => {
    show = trigger;
    return {
      get: () => {
        track();
        return observable.getSnapshot();
      },
      set: () => undefined,
    };
  });
  // A server only renders the initial value: nothing would unsubscribe a listener.
  if (typeof document === "undefined") return state;
  let followed = key();
  const follow = (
    wanted: string,
    _before: unknown,
    onCleanup: (stop: () => void) => void,
  ): void => {
    if (wanted !== followed) observable = make();
    followed = wanted;
    onCleanup(observable.subscribe(show));
    show();
  };
  watch(key, follow, { immediate: true });
  return state;
}

/** Returns the fields as refs. Only changed fields cause a render. */
export function refsOf<T extends object>(state: Ref<T>): Refs<T>;
export function refsOf(state: Ref<object>): object {
  return Object.fromEntries(
    Object.keys(state.value).map((name) => [
      name,
      computed((): unknown => Reflect.get(state.value, name)),
    ]),
  );
}
