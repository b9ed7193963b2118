import type { PylonClientError } from "../connection/errors.ts";
import { Emitter } from "../platform/emitter.ts";

/** How a live function is. The same object comes back until something changes. */
export interface LiveFunctionState<R = unknown> {
  /**
   * The newest result, null before the first one. The same value comes back until the server has
   * another one; it is shared by all who look at it, so it must not be changed.
   */
  readonly data: R | null;
  /** Nothing has come yet: no result, and no error. */
  readonly loading: boolean;
  /** Why there is no newer result than `data`; null again with the next one. */
  readonly error: PylonClientError | null;
}

/** The result of a query function that is always up to date. */
export interface LiveFunction<R = unknown> {
  getSnapshot(): LiveFunctionState<R>;
  /** Calls the listener after something has changed. @returns an unsubscribe function */
  subscribe(listener: () => void): () => void;
}

/** The state of a live function of which nothing is known yet. */
export const LOADING: LiveFunctionState<never> = Object.freeze({
  data: null,
  loading: true,
  error: null,
});

/** One function with its arguments, for all in this page who look at it. */
export class WatchedFunction {
  readonly id: number;
  readonly name: string;
  readonly args: unknown;
  readonly changed = new Emitter<void>();
  listeners = 0;
  /** Its number on the connection; null while it is not subscribed to. */
  sub: number | null = null;
  /** Ends the wait for what is to be done with it later. */
  cancelWait: () => void = () => undefined;
  state: LiveFunctionState = LOADING;
  #json: string | null = null;

  constructor(id: number, name: string, args: unknown) {
    this.id = id;
    this.name = name;
    this.args = args;
  }

  /** A result came. */
  succeed(value: unknown): void {
    const json = JSON.stringify(value);
    const isSame = json === this.#json;
    if (isSame && this.state.error === null) return;
    const data = isSame ? this.state.data : value;
    this.#json = json;
    this.#become({ data, loading: false, error: null });
  }

  fail(error: PylonClientError): void {
    this.#become({ data: this.state.data, loading: false, error });
  }

  /** What was known was another user's. */
  reset(): void {
    this.#json = null;
    if (this.state !== LOADING) this.#become(LOADING);
  }

  #become(state: LiveFunctionState): void {
    this.state = state;
    this.changed.emit();
  }
}
