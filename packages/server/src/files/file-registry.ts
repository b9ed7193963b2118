import { and, not } from "@pylonsync/query";
import type { FileRecord } from "../data/file-record.ts";
import type { Platform } from "../platform.ts";
import type { Reader, Store } from "../store/store.ts";
import { transactById } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { UploadProgress } from "./file-storage.ts";

const FILES = SYSTEM_TABLES.files;
const ID_BYTES = 20;
const BATCH_SIZE = 200;

/** What is known of a file before its content is there. */
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

  /** What is known of the file with this id, in whatever state it is. */
  get(id: string): Promise<FileRecord | null> {
    return FILES.get(this.#store, id);
  }

  /** Writes down that a file is to come. */
  async announce(file: NewFile): Promise<FileRecord> {
    const record = this.#pending(file, null);
    await transactById(this.#store, (tx) => FILES.insert(tx, record));
    return record;
  }

  /**
   * Writes down that a file is to come in pieces.
   *
   * @param max how many such uploads a user may have that are not finished
   * @returns null when the owner has so many
   */
  announceResumable(file: NewFile, max: number): Promise<FileRecord | null> {
    const record = this.#pending(file, 0);
    // Counted in the same transaction: of those that begin at the same moment some are too many.
    return this.#store.transact(async (tx) => {
      if ((await openUploads(tx, file.ownerId)) >= max) return null;
      await FILES.insert(tx, record);
      return record;
    });
  }

  /** @param uploadOffset null for an upload that can't be resumed */
  #pending(file: NewFile, uploadOffset: number | null): FileRecord {
    return {
      ...file,
      id: this.#newId(),
      state: "pending",
      linkedRow: null,
      multipartId: null,
      uploadOffset,
      uploadParts: null,
      uploadClaim: null,
      createdAt: this.#platform.now(),
      orphanedAt: null,
    };
  }

  /** Changes a pending file. @returns whether it still was pending */
  update(
    id: string,
    patch: Partial<Pick<FileRecord, "size" | "checksum" | "uploadKey" | "multipartId">>,
  ): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const file = await FILES.get(tx, id);
      return file?.state === "pending" && FILES.update(tx, id, patch);
    });
  }

  /**
   * Takes the key of a pending file, so that only one request at a time writes to it.
   *
   * @returns the file, or null when the key is wrong or taken
   */
  takeUploadKey(id: string, uploadKey: string): Promise<FileRecord | null> {
    return transactById(this.#store, async (tx) => {
      const file = await FILES.get(tx, id);
      if (file?.state !== "pending" || file.uploadKey !== uploadKey) return null;
      await FILES.update(tx, id, { uploadKey: null });
      return file;
    });
  }

  /**
   * Makes a request the one that writes to an upload that can be resumed: from now on no other
   * `advance` counts.
   *
   * @param claim a name of the request's own
   * @returns null when there is no such upload, or it is over
   */
  claimUpload(id: string, claim: string): Promise<FileRecord | null> {
    return transactById(this.#store, async (tx) => {
      const file = await FILES.get(tx, id);
      if (file?.state !== "pending" || file.uploadOffset === null) return null;
      await FILES.update(tx, id, { uploadClaim: claim });
      return file;
    });
  }

  /**
   * Writes down how far such an upload is.
   *
   * @returns false when another request writes to it meanwhile, or it is given up
   */
  advance(id: string, claim: string, { offset, parts }: UploadProgress): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const file = await FILES.get(tx, id);
      if (file?.state !== "pending" || file.uploadClaim !== claim) return false;
      return FILES.update(tx, id, { uploadOffset: offset, uploadParts: parts });
    });
  }

  /** How many files of a user no row holds, and how many bytes they have. */
  async loose(ownerId: string): Promise<{ readonly count: number; readonly bytes: number }> {
    const [row] = await this.#store.aggregate({
      entity: FILES.name,
      where: and(FILES.is("ownerId", ownerId), FILES.is("linkedRow", null)),
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
   * @returns null when it is no longer pending
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
      uploadOffset: null,
      uploadParts: null,
      uploadClaim: null,
      orphanedAt: file.boundField === null && isKept ? null : this.#platform.now(),
    };
    return transactById(this.#store, async (tx) => {
      if ((await FILES.get(tx, file.id))?.state !== "pending") return null;
      await FILES.update(tx, file.id, patch);
      return { ...file, ...patch };
    });
  }

  /**
   * Marks a file as going away: from now on nobody reads or links it.
   *
   * @param condition asked again in the transaction
   * @returns whether it is marked
   */
  markForDeletion(id: string, condition: (file: FileRecord) => boolean): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const file = await FILES.get(tx, id);
      if (file === null || !condition(file)) return false;
      return file.state === "deleting" || FILES.update(tx, id, { state: "deleting" });
    });
  }

  /** Nothing is known of it from now on; the content must be gone. */
  async forget(id: string): Promise<void> {
    await transactById(this.#store, (tx) => FILES.delete(tx, id));
  }

  /**
   * Files that nobody needs: deleted ones, and uploads and orphans from before `before`. At most a
   * batch, oldest first.
   *
   * @param before milliseconds since 1970
   */
  async unneeded(before: number): Promise<FileRecord[]> {
    const conditions = [
      FILES.is("state", "deleting"),
      and(FILES.is("state", "pending"), FILES.isBelow("createdAt", before)),
      FILES.isBelow("orphanedAt", before),
    ];
    const found: FileRecord[] = [];
    for (const where of conditions) {
      const files = await FILES.select(this.#store, {
        where,
        order: [{ field: "createdAt", direction: "asc" }],
        limit: BATCH_SIZE,
      });
      found.push(...files);
    }
    return found;
  }

  #newId(): string {
    const bytes = new Uint8Array(ID_BYTES);
    this.#platform.random(bytes);
    return Buffer.from(bytes).toString("hex");
  }
}

/** How many uploads of a user can be resumed. */
async function openUploads(reader: Reader, ownerId: string | null): Promise<number> {
  const [row] = await reader.aggregate({
    entity: FILES.name,
    where: and(
      FILES.is("ownerId", ownerId),
      FILES.is("state", "pending"),
      not(FILES.is("uploadOffset", null)),
    ),
    groupBy: [],
    measures: [{ fn: "count", as: "count" }],
  });
  return Number(row?.["count"] ?? 0);
}
