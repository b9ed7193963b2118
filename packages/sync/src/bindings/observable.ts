/** A changing value, in a form that every framework can subscribe to. */
export interface Observable<T> {
  /** Returns the value. It is the same object until something in it changes. */
  getSnapshot(): T;
  /** Calls the listener after the value has changed. @returns an unsubscribe function */
  subscribe(listener: () => void): () => void;
}

/**
 * Creates an observable that is read again after each change of its sources. Listeners are called
 * only if a field of the value has changed.
 *
 * @param sources subscribes to the sources of the value. @returns their unsubscribe functions
 */
export function observe<T extends object>(
  read: () => T,
  sources: (notify: () => void) => readonly (() => void)[],
): Observable<T> {
  let last: T | undefined;
  const getSnapshot = (): T => {
    const next = read();
    if (last === undefined || !isSame(last, next)) last = next;
    return last;
  };
  return {
    getSnapshot,
    subscribe: (listener) => {
      // Changes during the subscription are included in the value that is read afterwards.
      let shown: T | undefined;
      const stops = sources(() => {
        const next = getSnapshot();
        if (shown === undefined || next === shown) return;
        shown = next;
        listener();
      });
      shown = getSnapshot();
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}

/** An observable that never changes, such as the error of an invalid query. */
export function constant<T>(value: T): Observable<T> {
  return { getSnapshot: () => value, subscribe: () => () => undefined };
}

/**
 * Returns a key that is equal for equal options or arguments, which may therefore be written
 * inline. JSON alone would drop undefined and convert NaN to null.
 *
 * @example
 * keyOf({ where: { done: false } }) === keyOf({ where: { done: false } });
 */
export function keyOf(options: unknown): string {
  return (
    JSON.stringify(options, (_name, value: unknown) => {
      const isLost =
        value === undefined ||
        typeof value === "bigint" ||
        (typeof value === "number" && !Number.isFinite(value));
      return isLost ? { [`$${typeof value}`]: String(value) } : value;
    }) ?? ""
  );
}

/** Returns a thrown value as an error. */
export function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}

function isSame(one: object, other: object): boolean {
  const keys = Object.keys(other);
  return (
    keys.length === Object.keys(one).length &&
    keys.every((key) => Object.is(Reflect.get(one, key), Reflect.get(other, key)))
  );
}

/**
 * Returns an object whose getters return the fields of the newest value, for frameworks that track
 * property reads.
 *
 * @param first provides the names of the fields
 * @param actions functions that are returned beside the fields
 * @example
 * const session = observeSession(engine);
 * const fields = fieldsOf(session.getSnapshot(), () => session.getSnapshot());
 * render(fields.userId);
 */
export function fieldsOf<T extends object, A extends object = object>(
  first: T,
  read: () => T,
  actions?: A,
): T & A;
export function fieldsOf(first: object, read: () => object, actions: object = {}): object {
  return new Proxy(
    { ...first, ...actions },
    { get: (_all, name) => Reflect.get(Object.hasOwn(actions, name) ? actions : read(), name) },
  );
}

/**
 * Returns the value of an argument that may be a getter.
 *
 * @example
 * valueOf(() => "a") === valueOf("a");
 */
export function valueOf(given: unknown): unknown {
  return typeof given === "function" ? given() : given;
}
