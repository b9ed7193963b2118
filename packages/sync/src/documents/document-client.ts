import type { LiveClient } from "../connection/live-client.ts";

/** A document is that of a row. */
export interface DocumentKey {
  readonly entity: string;
  readonly rowId: string;
}

/** Returns a name for a document; names of entities contain no slash. */
export function nameOfDocument({ entity, rowId }: DocumentKey): string {
  return `${entity}/${rowId}`;
}

/** Subscribes to documents over a connection of version 2. */
export class DocumentClient implements LiveClient {
  readonly #counts = new Map<string, { readonly key: DocumentKey; count: number }>();
  readonly #onOpened: () => void;
  #send: ((text: string) => void) | null = null;

  /** @param onOpened called after all documents have been requested over a new connection */
  constructor(onOpened: () => void) {
    this.#onOpened = onOpened;
  }

  /** Whether any document is subscribed to. */
  get isNeeded(): boolean {
    return this.#counts.size > 0;
  }

  /** The documents that are subscribed to. */
  get keys(): readonly DocumentKey[] {
    return [...this.#counts.values()].map(({ key }) => key);
  }

  /** Whether the document is subscribed to. */
  has(key: DocumentKey): boolean {
    return this.#counts.has(nameOfDocument(key));
  }

  opened(send: (text: string) => void): void {
    this.#send = send;
    for (const { key } of this.#counts.values()) this.ask(key);
    this.#onOpened();
  }

  closed(): void {
    this.#send = null;
  }

  // Subscriptions to rows and functions are those of other clients.
  take(): void {}
  reset(): void {}

  subscribe(key: DocumentKey): void {
    const name = nameOfDocument(key);
    const one = this.#counts.get(name) ?? { key, count: 0 };
    this.#counts.set(name, one);
    one.count += 1;
    if (one.count === 1) this.ask(key);
  }

  unsubscribe(key: DocumentKey): void {
    const name = nameOfDocument(key);
    const one = this.#counts.get(name);
    if (one === undefined) return;
    one.count -= 1;
    if (one.count > 0) return;
    this.#counts.delete(name);
    this.#tell({ type: "crdt-unsubscribe" }, key);
  }

  /** Requests the document again: the server does not answer for a row that does not exist yet. */
  ask(key: DocumentKey): void {
    if (this.#counts.has(nameOfDocument(key)))
      this.#tell({ type: "crdt-subscribe", ready: true }, key);
  }

  #tell(message: Readonly<Record<string, unknown>>, { entity, rowId }: DocumentKey): void {
    this.#send?.(JSON.stringify({ ...message, entity, rowId }));
  }
}
