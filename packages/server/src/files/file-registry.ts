import { and, literal, path, type Expr } from "@pylonsync/query";
import { toFileRecord, type FileRecord } from "../data/file-record.ts";
import type { Platform } from "../platform.ts";
import type { Store, StoredRow } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

const TABLE = SYSTEM_TABLES.files.name;
const ID_BYTES = 20;
const BATCH = 200;
/** Every step here looks up one row by its id and writes it. */
const SINGLE_ROW = { isolation: "snapshot" } as const;

export type NewFile = Pick<
  FileRecord,
  | "ownerId"
  | "name"
  | "contentType"
  | "size"
  | "checksum"
  | "boundEntity"
  | "boundField"
  | "uploadKey"
>;

/** What is known of files, in the database, where every replica sees it. */
export class FileRegistry {
  readonly #store: Store;
  readonly #platform: Platform;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
  }

  async get(id: string): Promise<FileRecord | null> {
    const row = await this.#store.get(TABLE, id);
    return row === null ? null : toFileRecord(row);
  }

  /** Writes down that a file is to come. */
  async announce(file: NewFile): Promise<FileRecord> {
    const record: FileRecord = {
      ...file,
      id: this.#newId(),
      state: "pending",
      linkedRow: null,
      multipartId: null,
      createdAt: this.#now(),
      orphanedAt: null,
    };
    await this.#store.transact((tx) => tx.insert(TABLE, { ...record } as StoredRow), SINGLE_ROW);
    return record;
  }

  /** Changes a pending file. @returns whether it still was pending */
  update(
    id: string,
    patch: Partial<Pick<FileRecord, "size" | "checksum" | "uploadKey" | "multipartId">>,
  ): Promise<boolean> {
    return this.#store.transact(async (tx) => {
      const row = await tx.get(TABLE, id);
      return row?.["state"] === "pending" && tx.update(TABLE, id, patch);
    }, SINGLE_ROW);
  }

  /**
   * Takes the key of a pending file, so that only one request at a time writes to it.
   *
   * @returns the file, or null when the key is wrong or taken
   */
  takeUploadKey(id: string, uploadKey: string): Promise<FileRecord | null> {
    return this.#store.transact(async (tx) => {
      const row = await tx.get(TABLE, id);
      if (row?.["state"] !== "pending" || row["uploadKey"] !== uploadKey) return null;
      await tx.update(TABLE, id, { uploadKey: null });
      return toFileRecord(row);
    }, SINGLE_ROW);
  }

  /** How many files of a user no row holds, and how many bytes they have. */
  async loose(ownerId: string): Promise<{ readonly count: number; readonly bytes: number }> {
    const [row] = await this.#store.aggregate({
      entity: TABLE,
      where: and(is("ownerId", ownerId), is("linkedRow", null)),
      groupBy: [],
      measures: [
        { fn: "count", as: "count" },
        { fn: "sum", field: "size", as: "bytes" },
      ],
    });
    return { count: Number(row?.["count"] ?? 0), bytes: Number(row?.["bytes"] ?? 0) };
  }

  /**
   * The content is there: the file can be read.
   *
   * @param isKept false: it goes as an orphan does, unless a row takes it
   * @returns null when it is pending no more
   */
  finish(
    file: FileRecord,
    content: Pick<FileRecord, "size" | "checksum">,
    isKept: boolean,
  ): Promise<FileRecord | null> {
    // A file for a field counts as orphaned until its row is written, so that an abandoned form
    // leaves nothing.
    const patch = {
      ...content,
      state: "ready" as const,
      uploadKey: null,
      orphanedAt: file.boundField === null && isKept ? null : this.#now(),
    };
    return this.#store.transact(async (tx) => {
      const row = await tx.get(TABLE, file.id);
      if (row?.["state"] !== "pending") return null;
      await tx.update(TABLE, file.id, patch);
      return { ...file, ...patch };
    }, SINGLE_ROW);
  }

  /**
   * Marks a file as going away: from now on nobody reads or links it.
   *
   * @param condition asked again in the transaction
   * @returns whether it is marked
   */
  markForDeletion(id: string, condition: (file: FileRecord) => boolean): Promise<boolean> {
    return this.#store.transact(async (tx) => {
      const row = await tx.get(TABLE, id);
      if (row === null || !condition(toFileRecord(row))) return false;
      return row["state"] === "deleting" || tx.update(TABLE, id, { state: "deleting" });
    }, SINGLE_ROW);
  }

  async forget(id: string): Promise<void> {
    await this.#store.transact((tx) => tx.delete(TABLE, id), SINGLE_ROW);
  }

  /**
   * Files that nobody needs: deleted ones, and uploads and orphans from before `before`. At most a
   * batch, oldest first.
   */
  async unneeded(before: string): Promise<FileRecord[]> {
    const conditions = [
      is("state", "deleting"),
      and(is("state", "pending"), isBefore("createdAt", before)),
      isBefore("orphanedAt", before),
    ];
    const found: FileRecord[] = [];
    for (const where of conditions) {
      const rows = await this.#store.select({
        entity: TABLE,
        where,
        order: [{ field: "createdAt", direction: "asc" }],
        limit: BATCH,
      });
      found.push(...rows.map(toFileRecord));
    }
    return found;
  }

  #now(): string {
    return new Date(this.#platform.now()).toISOString();
  }

  #newId(): string {
    const bytes = new Uint8Array(ID_BYTES);
    this.#platform.random(bytes);
    return Buffer.from(bytes).toString("hex");
  }
}

function is(field: string, value: string | null): Expr {
  return { kind: "compare", op: "==", left: path("data", field), right: literal(value) };
}

function isBefore(field: string, value: string): Expr {
  return { kind: "compare", op: "<", left: path("data", field), right: literal(value) };
}
