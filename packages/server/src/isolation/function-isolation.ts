import type { FnDefinition } from "@pylonsync/functions";
import type { Isolate, Isolation } from "../functions/isolation.ts";
import type { Log } from "../observe/log.ts";
import type { Timer } from "../platform.ts";
import type { Store } from "../store/store.ts";
import { transactById } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { Cancellation } from "../util/cancellation.ts";
import { sha256 } from "../util/sha256.ts";
import { Isolates, type IsolatesOptions } from "./isolates.ts";

const NOTES = SYSTEM_TABLES.isolatedFunctions;

/** The interval at which the records of the other replicas are read, in milliseconds. */
const READ_MS = 60_000;

/** Where functions run that do not declare `isolate`. */
type IsolationMode = "auto" | "always" | "never";

/** The options that decide where handlers run. */
export interface FunctionIsolationOptions extends IsolatesOptions {
  readonly mode: IsolationMode;
  readonly store: Store;
  readonly functions: () => ReadonlyMap<string, FnDefinition>;
  /** The functions that blocked the previous process, which the watchdog ended. */
  readonly blockedBefore: readonly string[];
  readonly log: Log;
}

/**
 * Decides where handlers run: in the server's process, which is faster, or in a separate process,
 * which protects other calls from them. A handler that has blocked the server is recorded in the
 * store, so it runs isolated from then on, on all replicas and after each restart, until its code
 * changes.
 */
export class FunctionIsolation implements Isolation {
  readonly #options: FunctionIsolationOptions;
  readonly #isolates: Isolates;
  /** The hash of the handler that blocked a server, by function name. */
  #blocking = new Map<string, string>();
  readonly #hashes = new WeakMap<FnDefinition, string>();
  #timer: Timer | null = null;

  constructor(options: FunctionIsolationOptions) {
    this.#options = options;
    this.#isolates = new Isolates(options);
  }

  /** The numbers of running processes and of calls that wait for one. */
  get counts(): Isolates["counts"] {
    return this.#isolates.counts;
  }

  /** Reads the functions that have blocked a server, and records those of the previous process. */
  async start(): Promise<void> {
    const { blockedBefore, functions, platform } = this.#options;
    for (const name of blockedBefore) {
      const definition = functions().get(name);
      if (definition !== undefined)
        await this.#note(
          name,
          definition,
          "It blocked the server until the watchdog restarted it.",
        );
    }
    await this.#read();
    this.#timer = platform.every(READ_MS, () => void this.#readAgain()).unref();
  }

  /** Called when the app was reloaded. */
  replace(): void {
    this.#isolates.replace();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#isolates.close();
  }

  enter(
    name: string,
    definition: FnDefinition,
    requestId: string,
    signal: Cancellation,
  ): Promise<Isolate> {
    // A mutation would wait with an open transaction.
    const mayWaitInProcess = definition.type !== "mutation";
    return this.#isolates.enter(name, requestId, signal, mayWaitInProcess);
  }

  blocked(name: string, definition: FnDefinition, ms: number): void {
    const { mode, log } = this.#options;
    log.warn("function blocked the server", { function: name, ms: Math.round(ms) });
    if (mode === "never" || definition.isolate === false || this.#hasBlocked(name, definition))
      return;
    this.#note(name, definition, `It blocked the server for ${Math.round(ms)} ms.`).catch(
      (error: unknown) => log.error("isolation of a function could not be stored", error),
    );
  }

  isIsolated(name: string, definition: FnDefinition): boolean {
    const { mode, app } = this.#options;
    if (mode === "never" || definition.isolate === false || app() === null) return false;
    return mode === "always" || definition.isolate === true || this.#hasBlocked(name, definition);
  }

  #hasBlocked(name: string, definition: FnDefinition): boolean {
    const noted = this.#blocking.get(name);
    return noted !== undefined && noted === this.#hashOf(definition);
  }

  async #note(name: string, definition: FnDefinition, reason: string): Promise<void> {
    const { store, platform, log } = this.#options;
    const source = this.#hashOf(definition);
    this.#blocking.set(name, source);
    log.warn("function runs in a separate process until its code changes", {
      function: name,
      reason,
    });
    await transactById(store, (tx) =>
      NOTES.put(tx, { id: name, source, reason, at: platform.now() }),
    );
  }

  async #read(): Promise<void> {
    const rows = await NOTES.select(this.#options.store, {});
    this.#blocking = new Map(rows.map(({ id, source }) => [id, source]));
  }

  async #readAgain(): Promise<void> {
    try {
      await this.#read();
    } catch (error) {
      this.#options.log.error("isolated functions could not be read", error);
    }
  }

  #hashOf(definition: FnDefinition): string {
    const known = this.#hashes.get(definition);
    if (known !== undefined) return known;
    const hash = sha256(
      [...(definition.middleware ?? []), definition.handler].map(String).join("\n"),
    );
    this.#hashes.set(definition, hash);
    return hash;
  }
}
