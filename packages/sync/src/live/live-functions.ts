import { toPlain } from "../outbox/plain.ts";
import type { Platform } from "../platform/platform.ts";
import { isSame, type ResolvedSession } from "../session/session.ts";
import { FunctionClient, type FunctionClientOptions } from "./function-client.ts";
import { LOADING, WatchedFunction, type LiveFunction } from "./live-function.ts";

/** How long a function that nobody looks at is kept, in milliseconds: a page may show it again. */
const LINGER_MS = 5_000;

/** The query functions that a page looks at; equal ones are one. */
export class LiveFunctions {
  readonly #after: Platform["after"];
  readonly #functions = new Map<string, WatchedFunction>();
  readonly #client: FunctionClient;
  #ids = 0;
  #isStarted = false;
  /** Who the results are for; null before the server has said who is there. */
  #session: ResolvedSession | null = null;

  constructor(options: FunctionClientOptions) {
    this.#after = options.platform.after;
    this.#client = new FunctionClient(this.#functions, options);
  }

  /** @throws PylonClientError `UNSENDABLE` for arguments that JSON can't say */
  live(name: string, given: Readonly<Record<string, unknown>>): LiveFunction {
    const args = toPlain(given);
    const key = JSON.stringify([name, sorted(args)]);
    return {
      getSnapshot: () => this.#functions.get(key)?.state ?? LOADING,
      subscribe: (listener) => this.#subscribe(key, name, args, listener),
    };
  }

  start(): void {
    this.#isStarted = true;
    this.retryNow();
  }

  stop(): void {
    this.#isStarted = false;
    this.#client.disconnect();
    for (const [key, one] of [...this.#functions]) if (one.listeners === 0) this.#drop(key, one);
  }

  /** The server has said who is there: the results of another are shown no more. */
  follow(session: ResolvedSession): void {
    const isOther = this.#session !== null && !isSame(this.#session, session);
    this.#session = session;
    if (isOther) this.reset();
  }

  /** Somebody else may be there: everything is asked again. */
  reset(): void {
    this.#client.disconnect();
    for (const one of this.#functions.values()) one.reset();
    this.retryNow();
  }

  /** The network may be there again, or there is something to ask. */
  retryNow(): void {
    if (this.#isStarted) this.#client.connect();
  }

  #subscribe(key: string, name: string, args: unknown, listener: () => void): () => void {
    const known = this.#functions.get(key);
    const one = known ?? new WatchedFunction((this.#ids += 1), name, args);
    if (known === undefined) {
      this.#functions.set(key, one);
      this.#client.ask(one);
    } else if (known.listeners === 0) known.cancelWait();
    one.listeners += 1;
    const unsubscribe = one.changed.on(listener);
    this.retryNow();
    let isStopped = false;
    return () => {
      if (isStopped) return;
      isStopped = true;
      unsubscribe();
      one.listeners -= 1;
      if (one.listeners > 0) return;
      one.cancelWait();
      one.cancelWait = this.#after(LINGER_MS, () => this.#drop(key, one));
    };
  }

  #drop(key: string, one: WatchedFunction): void {
    one.cancelWait();
    this.#functions.delete(key);
    this.#client.forget(one);
  }
}

/** With the keys of objects in order, so that equal arguments read the same. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, part]) => [key, sorted(part)] as const)
      .toSorted(([one], [other]) => (one < other ? -1 : 1)),
  );
}
