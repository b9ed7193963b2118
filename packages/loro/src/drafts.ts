import type { DocumentKey, Documents } from "@pylonsync/sync";

/** A text that the user has changed before its document has arrived. */
export interface Draft {
  /** The text that was shown before the first change. */
  readonly base: string;
  readonly text: string;
}

/** `id`: that of the part in which it is stored; null before it is stored. */
type StoredDraft = Draft & { readonly id: string | null };

/** The drafts of a row, by field, in memory and on disk. */
export class Drafts {
  readonly #key: DocumentKey;
  readonly #documents: () => Documents | null;
  readonly #drafts = new Map<string, StoredDraft>();
  /** Drafts of closed tabs, of fields that have a newer one. */
  readonly #others: (StoredDraft & { readonly field: string })[] = [];
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

  /** Removes the drafts of a field, to be merged. */
  take(field: string): readonly Draft[] {
    const taken: StoredDraft[] = [];
    const draft = this.#drafts.get(field);
    if (draft !== undefined) taken.push(draft);
    for (const other of this.#others.splice(0))
      if (other.field === field) taken.push(other);
      else this.#others.push(other);
    if (taken.length === 0) return [];
    this.#drafts.delete(field);
    this.#documents()?.drop(taken.flatMap(({ id }) => id ?? []));
    this.#notify();
    return taken;
  }

  /** Stores the drafts that were made before the code for it was loaded. */
  keep(): void {
    for (const [field, { id, ...draft }] of [...this.#drafts])
      if (id === null) this.set(field, draft);
  }

  /** Adds a draft from disk. It is shown if there is no newer one. */
  found(id: string, bytes: Uint8Array): void {
    const draft = parsed(bytes);
    const known = [...this.#drafts.values(), ...this.#others];
    if (draft === null || known.some((other) => other.id === id)) return;
    const { field, base, text } = draft;
    if (this.#drafts.has(field)) this.#others.push({ field, base, text, id });
    else this.#drafts.set(field, { base, text, id });
    this.#notify();
  }

  /** The user may have changed: shows none. They stay on disk. */
  forget(): void {
    this.#drafts.clear();
    this.#others.length = 0;
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
