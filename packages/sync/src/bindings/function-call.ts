import type { SyncEngine } from "../engine/engine.ts";
import type { LiveFunctionState } from "../live/live-function.ts";
import { Emitter } from "../platform/emitter.ts";
import { asError, constant, type Observable } from "./observable.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The state of a live function, for framework bindings. */
export interface FunctionState<R, X = Error> {
  /** The newest result; null before the first. It is shared: do not modify it. */
  readonly data: R | null;
  /** True until the first result or error. */
  readonly loading: boolean;
  /** Why there is no newer result than `data`; null again after the next result. */
  readonly error: X | null;
}

/** The state of a function's calls. With concurrent calls, it is that of the last one. */
export interface CallState<R, X = Error> {
  readonly loading: boolean;
  /** Null until a call has succeeded. */
  readonly data: R | null;
  readonly error: X | null;
}

const IDLE: CallState<never> = { loading: false, data: null, error: null };

/**
 * Observes the live result of a query function. Arguments that can't be sent are reported in
 * `error`.
 *
 * @example
 * const count = observeFunction(engine, "countOpen", { listId: id });
 * count.subscribe(() => render(count.getSnapshot().data));
 */
export function observeFunction(
  sync: SyncEngine,
  name: string,
  args: Fields = {},
): Observable<LiveFunctionState | FunctionState<unknown>> {
  try {
    return sync.live(name, args);
  } catch (cause) {
    return constant({ data: null, loading: false, error: asError(cause) });
  }
}

/**
 * The calls of one function that a component makes.
 *
 * @example
 * const clear = new FunctionCalls(engine, "clearDone");
 * clear.subscribe(() => render(clear.getSnapshot().loading));
 * await clear.mutate();
 */
export class FunctionCalls implements Observable<CallState<unknown>> {
  readonly #sync: SyncEngine;
  readonly #name: string;
  readonly #changed = new Emitter<void>();
  #state: CallState<unknown> = IDLE;
  #latest = 0;

  constructor(sync: SyncEngine, name: string) {
    this.#sync = sync;
    this.#name = name;
  }

  getSnapshot(): CallState<unknown> {
    return this.#state;
  }
  subscribe(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  /**
   * Calls the function. A failure is also stored in `error`, so that the promise may be ignored.
   *
   * @throws PylonClientError
   */
  readonly mutate = (args: Fields = {}): Promise<unknown> => {
    const number = (this.#latest += 1);
    const done = this.#call(number, args);
    // The failure is stored in `error`, so an ignored promise must not cause an unhandled
    // rejection.
    done.catch(() => undefined);
    return done;
  };

  /** Resets the state, and ignores the outcome of a running call. */
  readonly reset = (): void => {
    this.#latest += 1;
    this.#show(this.#latest, IDLE);
  };

  async #call(number: number, args: Fields): Promise<unknown> {
    this.#show(number, { loading: true, data: null, error: null });
    try {
      const data = await this.#sync.fn(this.#name, args);
      this.#show(number, { loading: false, data, error: null });
      return data;
    } catch (cause) {
      this.#show(number, { loading: false, data: null, error: asError(cause) });
      throw cause;
    }
  }

  #show(number: number, state: CallState<unknown>): void {
    if (number !== this.#latest) return;
    this.#state = state;
    this.#changed.emit();
  }
}
