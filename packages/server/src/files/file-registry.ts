import { PylonError } from "@pylonsync/protocol";
import { and, type Expr, not, or, TRUE } from "@pylonsync/query";
import type { FileRecord } from "../data/file-record.ts";
import type { Platform } from "../platform.ts";
import type { Store, Transaction } from "../store/store.ts";
import { transactById } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { UploadProgress } from "./file-storage.ts";
import { UserStorage } from "./user-storage.ts";

const FILES = SYSTEM_TABLES.files;
const ID_BYTES = 20;
const BATCH_SIZE = 200;

/** The metadata of a file before its content exists. */
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

/** The metadata of files, in the database, which all replicas share. */
export class FileRegistry {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #userStorage: UserStorage;

  constructor(store: Store, platform: Platform, userStorage = new UserStorage(undefined)) {
    this.#store = store;
    this.#platform = platform;
    this.#userStorage = userStorage;
  }

  /** Returns the metadata of the file with this id, in any state. */
  get(id: string): Promise<FileRecord | null> {
    return FILES.get(this.#store, id);
  }

  /** The error for content for which its owner has no room. */
  storageReached(): PylonError {
    return this.#userStorage.reached();
  }

  /**
   * Stores the metadata of a file whose content is being received. Until it is finished, `size` is
   * the room that is reserved for it, so that concurrent uploads have no more room together.
   *
   * @param maxBytes the maximum size of the content
   * @returns the file, and the maximum size of its content in bytes
   * @throws PylonError STORAGE_QUOTA_REACHED if there is no room
   */
  async announceIncoming(
    file: Omit<NewFile, "size">,
    maxBytes: number,
  ): Promise<{ readonly file: FileRecord; readonly room: number }> {
    const { ownerId } = file;
    if (!this.#userStorage.limits(ownerId))
      return { file: await this.announce({ ...file, size: 0 }), room: maxBytes };
    const record = this.#pending({ ...file, size: 0 }, null);
    return this.#store.transact(async (tx) => {
      const left = await this.#userStorage.room(tx, ownerId);
      if (left === 0) throw this.#userStorage.reached();
      const room = Math.min(left, maxBytes);
      const reserved = { ...record, size: room };
      await FILES.insert(tx, reserved);
      return { file: reserved, room };
    });
  }

  /** Stores the metadata of a file that will be uploaded, and whose size is not known yet. */
  async announce(file: NewFile): Promise<FileRecord> {
    const record = this.#pending(file, null);
    await transactById(this.#store, (tx) => FILES.insert(tx, record));
    return record;
  }

  /**
   * Stores the metadata of a file that its owner will upload with a signed URL.
   *
   * @param max the maximum number of unfinished uploads of any kind per user
   * @throws PylonError FILE_QUOTA_REACHED, STORAGE_QUOTA_REACHED
   */
  announceSigned(file: NewFile, max: number): Promise<FileRecord> {
    return file.ownerId === null
      ? this.announce(file)
      : this.#announceWithin(max, this.#pending(file, null), TRUE);
  }

  /**
   * Stores the metadata of a file that will be uploaded in chunks.
   *
   * @param max the maximum number of unfinished uploads of this kind per user
   * @throws PylonError FILE_QUOTA_REACHED, STORAGE_QUOTA_REACHED
   */
  announceResumable(file: NewFile, max: number): Promise<FileRecord> {
    return this.#announceWithin(max, this.#pending(file, 0), not(FILES.is("uploadOffset", null)));
  }

  /** Counts in the same transaction, so that concurrent uploads can't exceed the maximum. */
  #announceWithin(max: number, record: FileRecord, kind: Expr): Promise<FileRecord> {
    const unfinished = and(FILES.is("ownerId", record.ownerId), FILES.is("state", "pending"), kind);
    return this.#store.transact(async (tx) => {
      if ((await FILES.count(tx, unfinished)) >= max)
        throw new PylonError(
          "FILE_QUOTA_REACHED",
          `A user may have at most ${max} unfinished uploads.`,
          { hint: "Finish or delete uploads, or wait until they expire." },
        );
      await this.#userStorage.check(tx, record, record.size);
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

  /** Changes a pending file. @returns whether it was still pending */
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
   * Claims the key of a pending file, so that only one request at a time writes to it.
   *
   * @returns the file, or null if the key is wrong or claimed
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
   * Makes a request the writer of a resumable upload: from then on `advance` has no effect for any
   * other request.
   *
   * @param claim a unique id of the request
   * @returns null if the upload does not exist or has ended
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
   * Stores the progress of a resumable upload.
   *
   * @returns false if another request has claimed it, or it was cancelled
   */
  advance(id: string, claim: string, { offset, parts }: UploadProgress): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const file = await FILES.get(tx, id);
      if (file?.state !== "pending" || file.uploadClaim !== claim) return false;
      return FILES.update(tx, id, { uploadOffset: offset, uploadParts: parts });
    });
  }

  /** The number and total bytes of a user's files that are in no row. */
  async loose(ownerId: string): Promise<{ readonly count: number; readonly bytes: number }> {
    const [row] = await this.#store.aggregate({
      entity: FILES.name,
      where: and(
        FILES.is("ownerId", ownerId),
        FILES.is("linkedRow", null),
        not(FILES.is("state", "deleting")),
      ),
      groupBy: [],
      measures: [
        { fn: "count", as: "count" },
        { fn: "sum", field: "size", as: "bytes" },
      ],
    });
    return { count: Number(row?.["count"] ?? 0), bytes: Number(row?.["bytes"] ?? 0) };
  }

  /**
   * Marks the content as complete, so that the file can be read.
   *
   * @param isKept false: the file is deleted like an orphan unless it is put into a row
   * @returns null if it is no longer pending
   * @throws PylonError STORAGE_QUOTA_REACHED if it is larger than was announced, and there is no
   *   room for it
   */
  finish(
    file: FileRecord,
    content: Pick<FileRecord, "size" | "checksum">,
    isKept: boolean,
  ): Promise<FileRecord | null> {
    // A file for a field is an orphan until its row is written, so that an abandoned form leaves
    // nothing behind.
    const patch = {
      ...content,
      state: "ready" as const,
      uploadKey: null,
      uploadOffset: null,
      uploadParts: null,
      uploadClaim: null,
      orphanedAt: file.boundField === null && isKept ? null : this.#platform.now(),
    };
    const finishIn = async (tx: Transaction): Promise<FileRecord | null> => {
      if ((await FILES.get(tx, file.id))?.state !== "pending") return null;
      await FILES.update(tx, file.id, patch);
      return { ...file, ...patch };
    };
    if (content.size <= file.size || !this.#userStorage.limits(file.ownerId))
      return transactById(this.#store, finishIn);
    return this.#store.transact(async (tx) => {
      await this.#userStorage.check(tx, file, content.size);
      return finishIn(tx);
    });
  }

  /**
   * Marks a file for deletion: from then on it can't be read or linked.
   *
   * @param condition checked again in the transaction
   * @returns whether it is marked
   */
  markForDeletion(id: string, condition: (file: FileRecord) => boolean): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const file = await FILES.get(tx, id);
      if (file === null || !condition(file)) return false;
      return file.state === "deleting" || FILES.update(tx, id, { state: "deleting" });
    });
  }

  /**
   * Keeps a deleted file, so that its content is deleted again.
   *
   * @param after milliseconds since 1970
   */
  async deleteAgain(id: string, after: number): Promise<void> {
    await transactById(this.#store, (tx) =>
      FILES.update(tx, id, { state: "deleting", orphanedAt: after }),
    );
  }

  /** Deletes the metadata; the content must be deleted before. */
  async forget(id: string): Promise<void> {
    await transactById(this.#store, (tx) => FILES.delete(tx, id));
  }

  /**
   * Returns unneeded files: deleted ones, and uploads and orphans from before `before`. At most a
   * batch, the oldest first.
   *
   * @param before milliseconds since 1970
   */
  async unneeded(before: number): Promise<FileRecord[]> {
    const isDue = or(
      FILES.is("orphanedAt", null),
      FILES.isUpTo("orphanedAt", this.#platform.now()),
    );
    const conditions = [
      and(FILES.is("state", "deleting"), isDue),
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
