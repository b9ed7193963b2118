/**
 * - `pending`: announced, but the content is missing or incomplete
 * - `ready`: can be read and linked
 * - `deleting`: will be deleted, the content first
 */
export type FileState = "pending" | "ready" | "deleting";

/** The metadata of a file. The content is in the file storage under the same id. */
export interface FileRecord {
  /** 160 bits of randomness as 40 hex characters, so it can't be guessed. */
  readonly id: string;
  /** Null for a file that the admin uploaded. */
  readonly ownerId: string | null;
  readonly name: string;
  readonly contentType: string;
  /** The size in bytes; for a pending file the announced size, or 0. */
  readonly size: number;
  /**
   * SHA-256 in hex; null if the content was not uploaded through this server and its checksum was
   * not given.
   */
  readonly checksum: string | null;
  readonly state: FileState;
  /** The entity of the field for which it was uploaded, or to which it was last linked. */
  readonly boundEntity: string | null;
  readonly boundField: string | null;
  /** The id of the row that contains it in the bound field. */
  readonly linkedRow: string | null;
  /** SHA-256 of the key in the upload URL; null if there is no such URL, or if it is in use. */
  readonly uploadKey: string | null;
  /** The storage's own id of a multipart upload. */
  readonly multipartId: string | null;
  /** The number of stored bytes of a resumable upload; null for any other file. */
  readonly uploadOffset: number | null;
  /** The ETags of its parts, if the storage stores it in parts. */
  readonly uploadParts: readonly string[] | null;
  /** The unique id of the request that may write to it now: the newest one, on any replica. */
  readonly uploadClaim: string | null;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /**
   * Since when it is in no row, in milliseconds since 1970; null for a file that a row contains,
   * and for one that was never meant for a row. For a file that is being deleted, when its content
   * is deleted again.
   */
  readonly orphanedAt: number | null;
}

const ID = /^[0-9a-f]{40}$/;

/** Whether the value can be the id of a file. Other values are never used in a path or a key. */
export function isFileId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}
