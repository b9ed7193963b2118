import { numberOf, textOf } from "../store/answered-rows.ts";
import type { StoredRow } from "../store/store.ts";

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
  readonly createdAt: string;
  /**
   * Since when no row holds it; null for one that is held, and for one that was never meant for a
   * row.
   */
  readonly orphanedAt: string | null;
}

const ID = /^[0-9a-f]{40}$/;

/** Whether this can be the id of a file: what is not never reaches a path or a key. */
export function isFileId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}

/** What a row of the files table says. @throws Error for a row of another table */
export function toFileRecord(row: StoredRow): FileRecord {
  return {
    id: row.id,
    ownerId: textOrNull(row, "ownerId"),
    name: textOf(row, "name"),
    contentType: textOf(row, "contentType"),
    size: numberOf(row, "size"),
    checksum: textOrNull(row, "checksum"),
    state: stateOf(textOf(row, "state")),
    boundEntity: textOrNull(row, "boundEntity"),
    boundField: textOrNull(row, "boundField"),
    linkedRow: textOrNull(row, "linkedRow"),
    uploadKey: textOrNull(row, "uploadKey"),
    multipartId: textOrNull(row, "multipartId"),
    createdAt: textOf(row, "createdAt"),
    orphanedAt: textOrNull(row, "orphanedAt"),
  };
}

function textOrNull(row: StoredRow, field: string): string | null {
  return (row[field] ?? null) === null ? null : textOf(row, field);
}

function stateOf(text: string): FileState {
  if (text === "pending" || text === "ready" || text === "deleting") return text;
  throw new Error(`No file is in the state "${text}".`);
}
