import { PylonError } from "@pylonsync/protocol";
import { and, not, type Expr } from "@pylonsync/query";
import type { FileRecord } from "../data/file-record.ts";
import type { Reader, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

const FILES = SYSTEM_TABLES.files;

/**
 * Limits the total size of the files that a user or guest owns: those in rows and in none, and the
 * announced size of unfinished uploads. Files without an owner are not limited.
 */
export class UserStorage {
  /** Null: there is no limit, and nothing is counted. */
  readonly #maxBytes: number | null;

  /** @param maxBytes the maximum total bytes; undefined: there is no limit */
  constructor(maxBytes: number | undefined) {
    this.#maxBytes = maxBytes ?? null;
  }

  /** Whether the files of an owner are limited. */
  limits(ownerId: string | null): boolean {
    return this.#maxBytes !== null && ownerId !== null;
  }

  /** Returns how many more bytes an owner may store now; Infinity without a limit. */
  async room(reader: Pick<Reader, "aggregate">, ownerId: string | null): Promise<number> {
    if (this.#maxBytes === null || ownerId === null) return Infinity;
    const used = await bytesOf(reader, FILES.is("ownerId", ownerId));
    return Math.max(0, this.#maxBytes - used);
  }

  /**
   * Checks a file in the transaction that stores its size, so that concurrent uploads can't exceed
   * the limit together.
   *
   * @throws PylonError STORAGE_QUOTA_REACHED
   */
  async check(tx: Transaction, { id, ownerId }: FileRecord, size: number): Promise<void> {
    if (this.#maxBytes === null || ownerId === null) return;
    const others = and(FILES.is("ownerId", ownerId), not(FILES.is("id", id)));
    if ((await bytesOf(tx, others)) + size > this.#maxBytes) throw this.reached();
  }

  /** The error for an upload for which there is no room. */
  reached(): PylonError {
    return new PylonError(
      "STORAGE_QUOTA_REACHED",
      `The files of a user may have at most ${this.#maxBytes} bytes together.`,
      { hint: "Delete files that are no longer needed." },
    );
  }
}

async function bytesOf(reader: Pick<Reader, "aggregate">, files: Expr): Promise<number> {
  const [row] = await reader.aggregate({
    entity: FILES.name,
    where: and(files, not(FILES.is("state", "deleting"))),
    groupBy: [],
    measures: [{ fn: "sum", field: "size", as: "bytes" }],
  });
  return Number(row?.["bytes"] ?? 0);
}
