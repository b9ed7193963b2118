import type { DocumentDisk, KeptDocumentPart } from "../persistence/disk.ts";
import { nameOfDocument } from "./document-client.ts";
import { documentsIn } from "../persistence/indexed-db-documents.ts";
import type { Persistence } from "../persistence/persistence.ts";
import type { Lazy } from "../platform/lazy.ts";
import type { Session } from "../session/session.ts";

/** The dependencies of the stored parts. */
export interface DocumentPartsOptions {
  readonly session: Pick<Session, "userId" | "proof" | "resolved">;
  readonly newId: () => string;
  readonly tabId: string;
  /** Null without persistence: then parts last as long as the page. */
  readonly persistence: () => Pick<Lazy<Pick<Persistence, "use">>, "load"> | null;
  /** Called when parts were added or removed. */
  readonly onChange: () => void;
  /** Called when this tab has added or removed parts on disk. */
  readonly onSaved: () => void;
}

/** A part as its document sees it. */
export type DocumentPart = Pick<KeptDocumentPart, "entity" | "rowId" | "kind" | "bytes">;

/** The owner of the changes of callers who can't be recognized; they are never stored. */
const NOBODY = "nobody";

/**
 * The unsent changes of documents, in memory and on disk, by user. Importing a change twice has no
 * effect, so tabs may share the parts without coordination: each adds its own, and removes what the
 * server has.
 */
export class DocumentParts {
  readonly #options: DocumentPartsOptions;
  readonly #parts = new Map<string, KeptDocumentPart>();
  /** The ids of parts that were added or removed since the last write. */
  readonly #unsaved = new Set<string>();
  /** The ids of parts that are on disk, as far as this tab knows. */
  readonly #saved = new Set<string>();
  #saving: Promise<void> | null = null;

  constructor(options: DocumentPartsOptions) {
    this.#options = options;
  }

  /** Reads the disk, where other tabs may have added parts. Never fails. */
  async load(): Promise<void> {
    await this.#withDisk(async (disk) => {
      const parts = await disk.read();
      const found = new Set(parts.map(({ id }) => id));
      // Another tab has sent them, or the user has signed out there.
      for (const id of this.#saved) if (!found.has(id)) this.#parts.delete(id);
      this.#saved.clear();
      for (const part of parts)
        if (!this.#unsaved.has(part.id)) {
          this.#parts.set(part.id, part);
          this.#saved.add(part.id);
        }
      this.#options.onChange();
    });
  }

  /** The number of rows of the current user with unsent changes. */
  get rows(): number {
    const unsent = this.all().filter(({ kind }) => kind !== "base");
    return new Set(unsent.map(nameOfDocument)).size;
  }

  /** Whether the part still exists, as of the last load. */
  has(id: string): boolean {
    return this.#parts.has(id);
  }

  /** Returns the parts of the current user. */
  all(): readonly KeptDocumentPart[] {
    const owner = this.#owner;
    return [...this.#parts.values()].filter((part) => part.owner === owner);
  }

  /**
   * Stores a part in place of others. It gets a new id, so that a tab that removes the parts it has
   * sent can't remove a newer one.
   *
   * @returns its id
   */
  put(part: DocumentPart, replaced: readonly string[] = []): string {
    const id = this.#options.newId();
    const { tabId: tab } = this.#options;
    this.#parts.set(id, { ...part, id, tab, owner: this.#owner });
    this.#unsaved.add(id);
    this.remove(replaced);
    return id;
  }

  /** Takes the parts of a tab that was closed. @returns once that is on disk */
  async claim(tab: string): Promise<void> {
    await this.load();
    for (const [id, part] of [...this.#parts])
      if (part.tab === tab) {
        this.#parts.set(id, { ...part, tab: this.#options.tabId });
        this.#unsaved.add(id);
      }
    await this.#save();
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) {
      this.#parts.delete(id);
      this.#unsaved.add(id);
    }
    this.#options.onChange();
    void this.#save();
  }

  /** The user is known: they own what they changed before, and nobody else's changes are kept. */
  takeOver(): void {
    const owner = this.#owner;
    const { proof, userId } = this.#options.session;
    for (const [id, part] of [...this.#parts])
      if (part.owner === owner) continue;
      else if (part.owner === proof) {
        this.#parts.set(id, { ...part, owner });
        this.#unsaved.add(id);
      } else if (typeof userId === "string") this.remove([id]);
    void this.#save();
  }

  /** The user has signed out of this browser, which also clears the disk. */
  clear(): void {
    this.#parts.clear();
    this.#unsaved.clear();
    this.#saved.clear();
    this.#options.onChange();
  }

  get #owner(): string {
    const { userId, proof, resolved } = this.#options.session;
    if (typeof userId === "string") return `user:${userId}`;
    return userId === undefined || resolved.isAdmin ? (proof ?? NOBODY) : NOBODY;
  }

  /** Writes one transaction at a time, so that fast typing is not stored key by key. */
  #save(): Promise<void> {
    this.#saving ??= this.#saveAll().finally(() => (this.#saving = null));
    return this.#saving;
  }

  async #saveAll(): Promise<void> {
    while (this.#unsaved.size > 0) {
      let hasDisk = false;
      await this.#withDisk(async (disk) => {
        hasDisk = true;
        const ids = [...this.#unsaved];
        this.#unsaved.clear();
        const added = ids
          .flatMap((id) => this.#parts.get(id) ?? [])
          .filter(({ owner }) => owner !== NOBODY);
        const removed = ids.filter((id) => !this.#parts.has(id));
        await disk.change(added, removed);
        for (const { id } of added) this.#saved.add(id);
        for (const id of removed) this.#saved.delete(id);
        this.#options.onSaved();
      });
      if (!hasDisk) this.#unsaved.clear();
    }
  }

  async #withDisk(work: (disk: DocumentDisk) => Promise<void>): Promise<void> {
    const persistence = await this.#options
      .persistence()
      ?.load()
      .catch(() => null);
    await persistence?.use(async (disk) => {
      const { documents, database } = disk;
      if (documents !== undefined) await work(documents);
      else if (database !== undefined) await work(documentsIn(database));
    });
  }
}
