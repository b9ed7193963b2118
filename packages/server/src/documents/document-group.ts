import { PylonError, type DocumentReady } from "@pylonsync/protocol";
import { readerShare } from "../request/reading.ts";
import type { Store } from "../store/store.ts";
import type { DocumentReader } from "./document-reader.ts";
import { frameOf, missingParts, type DocumentPart, type StoredDocument } from "./document-store.ts";
import type { Documents } from "./documents.ts";

/** The pause before another attempt when the server is overloaded, in milliseconds. */
const RETRY_MS = 500;

/** The row of a document, and the name of its entity that the subscribers use. */
export interface DocumentName {
  readonly name: string;
  readonly entity: string;
  readonly rowId: string;
}

/** The dependencies of a group. */
export interface DocumentGroupOptions {
  readonly store: Store;
  readonly documents: Documents;
  readonly onError: (error: unknown) => void;
  /** Runs work in this many milliseconds. */
  readonly later: (ms: number, work: () => void) => void;
  /** The document has this id: its changes must be passed to `changed`. */
  readonly onDocument: (id: string) => void;
  /** The reader may not read the document, or no longer: it must leave. */
  readonly onLeft: (reader: DocumentReader) => void;
}

/**
 * The subscribers of one document. The changes that accumulate while others are read and sent are
 * sent together, so a slow reader or database causes no queue.
 */
export class DocumentGroup {
  documentId: string | null = null;
  readonly #name: DocumentName;
  readonly #options: DocumentGroupOptions;
  /** The members, with the version that each has received; 0 before the first frame. */
  readonly #members = new Map<DocumentReader, number>();
  /** Those that are told when they have received the whole document. */
  readonly #awaitingReady = new Set<DocumentReader>();
  readonly #retry = (): void => this.changed();
  #isSending = false;
  #isOutdated = false;

  constructor(name: DocumentName, options: DocumentGroupOptions) {
    this.#name = name;
    this.#options = options;
  }

  get size(): number {
    return this.#members.size;
  }

  /**
   * Adds a member, which receives the whole document, also if it is already a member.
   *
   * @param wantsReady whether it is told that it has received it
   */
  join(reader: DocumentReader, wantsReady: boolean): void {
    this.#members.set(reader, 0);
    if (wantsReady) this.#awaitingReady.add(reader);
    this.changed();
  }

  leave(reader: DocumentReader): void {
    this.#members.delete(reader);
    this.#awaitingReady.delete(reader);
  }

  /** The document has changed, or a member can receive more. */
  changed(): void {
    this.#isOutdated = true;
    if (!this.#isSending) void this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    try {
      while (this.#isOutdated) {
        this.#isOutdated = false;
        await this.#sendOnce();
      }
    } catch (error) {
      if (isTransient(error)) this.#options.later(RETRY_MS, this.#retry);
      else {
        this.#options.onError(error);
        // They may have missed a change: they reconnect, and receive the whole document.
        for (const reader of [...this.#members.keys()]) this.#disconnect(reader);
      }
    } finally {
      this.#isSending = false;
    }
  }

  #disconnect(reader: DocumentReader): void {
    reader.subscriber.resync("the server could not read a document");
    this.#options.onLeft(reader);
  }

  async #sendOnce(): Promise<void> {
    const ready = this.#ready();
    if (ready.length === 0) return;
    const document = await this.#document(ready);
    if (document === null) return;
    const { documents, store } = this.#options;
    const oldest = Math.min(...ready.map((reader) => this.#members.get(reader) ?? 0));
    if (oldest >= document.version) return;
    const parts = await documents.store.partsFor(store, document, oldest);
    // The permissions are checked after the document was read, so that they are at least as new.
    for (const reader of await this.#allowed(ready)) this.#send(reader, parts);
  }

  /** The members that have read what was sent to them. */
  #ready(): DocumentReader[] {
    for (const reader of this.#members.keys()) if (!reader.isFree) reader.whenFree(this.#retry);
    return [...this.#members.keys()].filter(({ isFree }) => isFree);
  }

  /** The document with the texts of the row, if one of the readers may read it. */
  async #document(ready: readonly DocumentReader[]): Promise<StoredDocument | null> {
    const { documents, onDocument } = this.#options;
    const { entity: name, rowId } = this.#name;
    // The members were allowed to read it before: then it is brought up to date for any of them.
    const isForNew = ready.some((one) => this.#members.get(one) === 0);
    const [reader] = isForNew ? await this.#allowed(ready) : ready;
    const entity = documents.find(name);
    if (reader === undefined || entity === null) return null;
    const { caller, address } = reader.subscriber;
    const share = readerShare({ caller, address });
    const document = await documents.current(entity, rowId, caller, share);
    if (document === null || document.id === this.documentId) return document;
    // A new document has nothing in common with one that was deleted.
    for (const member of this.#members.keys()) this.#members.set(member, 0);
    this.documentId = document.id;
    onDocument(document.id);
    // A change that was committed before its id was known has not been reported.
    this.#isOutdated = true;
    return document;
  }

  /** The readers that may read the row as it is now. The others leave. */
  async #allowed(readers: readonly DocumentReader[]): Promise<DocumentReader[]> {
    const { store, documents, onLeft } = this.#options;
    const entity = documents.find(this.#name.entity);
    const row = entity && (await store.get(entity.name, this.#name.rowId));
    const mayRead = async ({ subscriber }: DocumentReader): Promise<boolean> =>
      entity !== null &&
      row !== null &&
      subscriber.isOpen &&
      documents.mayRead(entity, row, subscriber.caller);
    const answers = await Promise.all(readers.map(mayRead));
    for (const [index, reader] of readers.entries()) if (answers[index] !== true) onLeft(reader);
    return readers.filter((reader, index) => answers[index] === true && this.#members.has(reader));
  }

  #send(reader: DocumentReader, parts: readonly DocumentPart[]): void {
    // It may have subscribed again, left, or received another document in the meantime.
    const version = this.#members.get(reader);
    if (version === undefined || !reader.subscriber.isOpen) return;
    if (!reader.isFree) return reader.whenFree(this.#retry);
    const missing = missingParts(version, parts);
    const last = missing.at(-1);
    if (last === undefined) return;
    const { name: entity, rowId } = this.#name;
    const frames = missing.map((part) => frameOf(part, entity, rowId));
    const ready: DocumentReady = { type: "crdt-ready", entity, rowId };
    reader.send(frames, this.#awaitingReady.delete(reader) ? ready : null);
    this.#members.set(reader, last.version);
  }
}

/** Whether a merge, a read or a commit can succeed later. */
function isTransient(error: unknown): boolean {
  return (
    error instanceof PylonError && ["OVERLOADED", "QUERY_TIMEOUT", "CONFLICT"].includes(error.code)
  );
}
