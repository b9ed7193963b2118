import type { PylonClientError } from "../connection/errors.ts";
import { Emitter } from "../platform/emitter.ts";
import type { RepeatedRead } from "./repeated-read.ts";
import { LOADING, type LiveFunctionState } from "./live-function.ts";

/** A function call that is shared by all of its subscribers in this page. */
export class WatchedFunction {
  readonly id: number;
  readonly name: string;
  readonly args: unknown;
  readonly changed = new Emitter<void>();
  listeners = 0;
  /** Its id on the connection; null while it is not subscribed. */
  sub: number | null = null;
  /** Cancels a scheduled action. */
  cancelWait: () => void = () => undefined;
  state: LiveFunctionState = LOADING;
  /** The code with which the server rejected the subscription; null while it is accepted. */
  refusedBy: string | null = null;
  /** Repeats the read, if the server does not keep it up to date. */
  repeated: RepeatedRead | null = null;
  /** Counts calls and results: a response is outdated by everything after its call. */
  asked = 0;
  #json: string | null = null;

  constructor(id: number, name: string, args: unknown) {
    this.id = id;
    this.name = name;
    this.args = args;
  }

  /** Stores a result. */
  succeed(value: unknown): void {
    this.asked += 1;
    const json = JSON.stringify(value);
    const isSame = json === this.#json;
    if (isSame && this.state.error === null) return;
    const data = isSame ? this.state.data : value;
    this.#json = json;
    this.#become({ data, loading: false, error: null });
  }

  fail(error: PylonClientError): void {
    this.asked += 1;
    this.#become({ data: this.state.data, loading: false, error });
  }

  /** Drops the state, which belonged to another user. */
  reset(): void {
    this.asked += 1;
    this.stopRepeating();
    this.#json = null;
    if (this.state !== LOADING) this.#become(LOADING);
  }

  stopRepeating(): void {
    this.repeated?.stop();
    this.repeated = null;
  }

  #become(state: LiveFunctionState): void {
    this.state = state;
    this.changed.emit();
  }
}
