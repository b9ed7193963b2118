import { decodeCrdtFrame } from "@pylonsync/protocol";
import { LoroDoc } from "loro-crdt";
import { rowName } from "./row-name.ts";

/** Identifies a row. */
export interface CachedRow {
  readonly entity: string;
  readonly rowId: string;
}

interface Entry extends CachedRow {
  document: LoroDoc;
  stop: () => void;
}

/**
 * Documents of rows in memory. The hooks use `globalRegistry`; a registry of one's own can be fed
 * with frames in any other way.
 *
 * @example
 * import { LoroRegistry } from "@pylonsync/loro";
 *
 * const registry = new LoroRegistry();
 * const stop = registry.subscribe("Note", "n1", () => {
 *   console.log(registry.doc("Note", "n1").toJSON());
 * });
 */
export class LoroRegistry {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Map<string, Set<() => void>>();

  /** Returns the document of a row, which is empty until a frame has arrived. */
  doc(entity: string, rowId: string): LoroDoc {
    return this.#entry(entity, rowId).document;
  }

  /** Calls the listener after each change of a document. @returns an unsubscribe function */
  subscribe(entity: string, rowId: string, listener: () => void): () => void {
    const name = rowName(entity, rowId);
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    // Each call has its own subscription, even with the same function.
    const own = (): void => listener();
    listeners.add(own);
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(name) === listeners)
        this.#listeners.delete(name);
    };
  }

  /**
   * Imports the content of a frame into its document.
   *
   * @returns false for bytes that are not a frame, or whose content is invalid
   */
  applyBinaryFrame(bytes: Uint8Array): boolean {
    const frame = decodeCrdtFrame(bytes);
    if (frame === null) return false;
    try {
      this.doc(frame.entity, frame.rowId).import(frame.payload);
      return true;
    } catch {
      return false;
    }
  }

  /** Forgets a document. */
  evict(entity: string, rowId: string): void {
    const name = rowName(entity, rowId);
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    entry.stop();
    this.#entries.delete(name);
    this.#notify(name);
  }

  /** Returns the rows whose documents are in memory. */
  cachedRows(): CachedRow[] {
    return [...this.#entries.values()].map(({ entity, rowId }) => ({ entity, rowId }));
  }

  /** Puts a document in place of another: changes can't be removed from a document. */
  replace(entity: string, rowId: string, document: LoroDoc): void {
    const entry = this.#entry(entity, rowId);
    entry.stop();
    entry.document = document;
    this.#follow(entry);
    this.#notify(rowName(entity, rowId));
  }

  #entry(entity: string, rowId: string): Entry {
    const name = rowName(entity, rowId);
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const entry = { entity, rowId, document: new LoroDoc(), stop: () => undefined };
    this.#entries.set(name, entry);
    this.#follow(entry);
    return entry;
  }

  #follow(entry: Entry): void {
    const name = rowName(entry.entity, entry.rowId);
    entry.stop = entry.document.subscribe(() => this.#notify(name));
  }

  #notify(name: string): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) listener();
  }
}

/**
 * The documents of the app's engine, which the hooks show.
 *
 * @example
 * import { globalRegistry } from "@pylonsync/loro";
 *
 * console.log(globalRegistry.cachedRows());
 */
export const globalRegistry: LoroRegistry = new LoroRegistry();
