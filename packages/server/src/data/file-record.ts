/**
 * - `pending`: announced, the content is not (all) there
 * - `ready`: can be read and linked
 * - `deleting`: to be forgotten, the content first
 */
export type FileState = "pending" | "ready" | "deleting";

/** What is known of a file. The content lies in the file storage under the same id. */
export interface FileRecord {
  /** 160 bits of randomness as 40 hex characters: nobody guesses it. */
  readonly id: string;
  /** Null for what the admin uploaded. */
  readonly ownerId: string | null;
  readonly name: string;
  readonly contentType: string;
  /** Bytes; of a pending file what was announced, or 0. */
  readonly size: number;
  /** SHA-256 in hex; null when the content went past this server and nobody told. */
  readonly checksum: string | null;
  readonly state: FileState;
  /** The field it was uploaded for, or was last linked to. */
  readonly boundEntity: string | null;
  readonly boundField: string | null;
  /** The row that holds it in the bound field. */
  readonly linkedRow: string | null;
  /**
   * SHA-256 of the key in the URL that may be written to; null when there is none, or when it is in
   * use.
   */
  readonly uploadKey: string | null;
  /** The storage's own name of an upload in parts. */
  readonly multipartId: string | null;
  /** How many bytes of an upload that can be resumed are stored; null for any other. */
  readonly uploadOffset: number | null;
  /** The ETags of its parts, where the storage keeps it in parts. */
  readonly uploadParts: readonly string[] | null;
  /** Which request writes to it now, by a name of its own: the newest, on whichever replica. */
  readonly uploadClaim: string | null;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /**
   * Since when no row holds it, in milliseconds since 1970; null for one that is held, and for one
   * that was never meant for a row.
   */
  readonly orphanedAt: number | null;
}

const ID = /^[0-9a-f]{40}$/;

/** Whether this can be the id of a file: what is not never reaches a path or a key. */
export function isFileId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}
