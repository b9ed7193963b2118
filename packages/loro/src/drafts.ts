import type { DocumentKey, Documents } from "@pylonsync/sync";

/** A text that the user has changed before its document has arrived. */
export interface Draft {
  /** The text that was shown before the first change. */
  readonly base: string;
  readonly text: string;
}

/** The drafts of a row, by field, in memory and on disk. */
export class Drafts {
  readonly #key: DocumentKey;
  readonly #documents: () => Documents | null;
  readonly #drafts = new Map<string, Draft & { readonly id: string | null }>();
  readonly #notify: () => void;

  /**
   * @param documents where they are stored; null until its code is loaded
   * @param onChange called after each change
   */
  constructor(key: DocumentKey, documents: () => Documents | null, onChange: () => void) {
    this.#key = key;
    this.#documents = documents;
    this.#notify = onChange;
  }

  get(field: string): Draft | undefined {
    return this.#drafts.get(field);
  }

  all(): readonly (readonly [field: string, draft: Draft])[] {
    return [...this.#drafts];
  }

  set(field: string, draft: Draft): void {
    const before = this.#drafts.get(field)?.id ?? null;
    const bytes = new TextEncoder().encode(JSON.stringify({ field, ...draft }));
    const part = { ...this.#key, kind: "draft", bytes } as const;
    const id = this.#documents()?.store(part, before === null ? [] : [before]) ?? null;
    this.#drafts.set(field, { ...draft, id });
    this.#notify();
  }

  /** Removes a draft, to be merged; null if there is none, or another tab has merged it. */
  take(field: string): Draft | null {
    const draft = this.#drafts.get(field);
    if (draft === undefined) return null;
    this.#drafts.delete(field);
    const documents = this.#documents();
    const isThere = draft.id === null || documents?.has(draft.id) === true;
    if (draft.id !== null) documents?.drop([draft.id]);
    this.#notify();
    return isThere ? draft : null;
  }

  /** Stores the drafts that were made before the code for it was loaded. */
  keep(): void {
    for (const [field, { id, ...draft }] of [...this.#drafts])
      if (id === null) this.set(field, draft);
  }

  /** Adds a draft from disk, unless there is a newer one. */
  found(id: string, bytes: Uint8Array): void {
    const draft = parsed(bytes);
    if (draft === null || this.#drafts.has(draft.field)) return;
    const { field, base, text } = draft;
    this.#drafts.set(field, { base, text, id });
    this.#notify();
  }

  /** The user may have changed: shows none. They stay on disk. */
  forget(): void {
    this.#drafts.clear();
  }
}

function parsed(bytes: Uint8Array): (Draft & { readonly field: string }) | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value !== "object" || value === null) return null;
    const { field, base, text } = value as Record<string, unknown>;
    return typeof field === "string" && typeof base === "string" && typeof text === "string"
      ? { field, base, text }
      : null;
  } catch {
    return null;
  }
}
