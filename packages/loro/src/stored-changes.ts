import { MAX_DOCUMENT_UPDATE_BYTES } from "@pylonsync/protocol";
import type { DocumentKey, DocumentPart, Documents, Platform } from "@pylonsync/sync";
import type { LoroDoc } from "loro-crdt";
import { updatesAfter } from "./updates.ts";
import { encodeBase, type Version } from "./versions.ts";

/** How long changes are unsent before the text that they change is stored too, in milliseconds. */
const KEEP_BASE_MS = 1_000;
/**
 * A part of this size is not replaced: further changes are stored in another one, in bytes. The
 * time to export a part grows with it, and the last one is exported with each key.
 */
const FULL_BYTES = 8 * 1024;

/** The document whose changes are stored. */
export interface StoredChangesOptions {
  readonly key: DocumentKey;
  readonly after: Platform["after"];
  /** Null until the code for the storage is loaded. */
  readonly documents: () => Documents | null;
  /** Returns what a base contains: the document, and what the server has of it. */
  readonly base: () => { readonly confirmed: Version; readonly document: Uint8Array };
}

/** A stored part with changes of this tab. */
interface OwnPart {
  readonly id: string;
  /** What the document contains with this part and those before it. */
  readonly version: Version;
  readonly isFull: boolean;
}

/**
 * What is stored of a document until the server has it: the changes of this tab, those of earlier
 * visits and other tabs as they were found, and the base, the text that they change.
 *
 * The changes of this tab are in parts that follow each other, and each of which can be sent: only
 * the last one is replaced when the user writes.
 */
export class StoredChanges {
  readonly #options: StoredChangesOptions;
  /** The parts that were found, with the version that includes them. */
  readonly #found = new Map<string, Version>();
  #own: readonly OwnPart[] = [];
  #base: { readonly id: string; readonly confirmed: Version } | null = null;
  #cancelBase: () => void = () => undefined;

  constructor(options: StoredChangesOptions) {
    this.#options = options;
  }

  /** Whether a stored part is known. */
  has(id: string): boolean {
    return this.#found.has(id) || id === this.#base?.id || this.#own.some((part) => part.id === id);
  }

  /** Adds a part that was found. */
  add(id: string, version: Version): void {
    this.#found.set(id, version);
  }

  /** Stores the changes that the server does not have. */
  store(documents: Documents, document: LoroDoc, confirmed: Version): void {
    const isDone = ({ version, isFull }: OwnPart): boolean =>
      !isFull || confirmed.includes(version);
    const kept = this.#own.filter((part) => !isDone(part));
    let replaced = this.#own.filter(isDone).map(({ id }) => id);
    const from = confirmed.copy();
    for (const { version } of kept) from.add(version);
    for (const { bytes, version } of updatesAfter(document, from, MAX_DOCUMENT_UPDATE_BYTES)) {
      const id = documents.store(this.#part("changes", bytes), replaced);
      replaced = [];
      kept.push({ id, version, isFull: bytes.length >= FULL_BYTES });
    }
    this.#own = kept;
    this.#drop(replaced);
    this.#storeBase(confirmed);
  }

  /**
   * Removes what was found and the server has. Other parts may contain changes that can't be
   * imported yet.
   */
  dropConfirmed(confirmed: Version): void {
    this.#drop([...this.#found].flatMap(([id, own]) => (confirmed.includes(own) ? [id] : [])));
  }

  /** Removes the changes of this tab, and the base: the server has them. */
  dropOwn(): void {
    this.stop();
    const base = this.#base === null ? [] : [this.#base];
    this.#drop([...this.#own, ...base].map(({ id }) => id));
    this.#own = [];
    this.#base = null;
  }

  /** Removes all parts, because the document continues without them. */
  dropAll(): void {
    this.dropOwn();
    this.#drop([...this.#found.keys()]);
  }

  /** The user may have changed: forgets the parts, which stay stored. */
  forget(): void {
    this.stop();
    this.#found.clear();
    this.#own = [];
    this.#base = null;
  }

  /** Stores no base from now on. */
  stop(): void {
    this.#cancelBase();
  }

  /** Stores the base, if the changes stay unsent: a reload shows it. */
  #storeBase(confirmed: Version): void {
    if (this.#base?.confirmed.includes(confirmed) === true) return;
    this.#cancelBase();
    this.#cancelBase = this.#options.after(KEEP_BASE_MS, () => {
      const base = this.#options.base();
      const replaced = this.#base === null ? [] : [this.#base.id];
      const id = this.#options.documents()?.store(this.#part("base", encodeBase(base)), replaced);
      if (id !== undefined) this.#base = { id, confirmed: base.confirmed };
    });
  }

  #part(kind: DocumentPart["kind"], bytes: Uint8Array): DocumentPart {
    return { ...this.#options.key, kind, bytes };
  }

  #drop(ids: readonly string[]): void {
    for (const id of ids) this.#found.delete(id);
    if (ids.length > 0) this.#options.documents()?.drop(ids);
  }
}
