import type { ClientChange } from "@pylonsync/protocol";

/** A change that an app makes directly in the replica; the server's changes have the same form. */
export interface LocalChange extends Pick<ClientChange, "entity" | "row_id" | "kind" | "data"> {
  /** Accepted because the server's changes have it, and ignored. */
  readonly seq?: number;
  /** Accepted because the server's changes have it, and ignored. */
  readonly timestamp?: string;
}

/**
 * Rows that the app shows itself, before the server has them: one change per row, until the server
 * sends a change of the row.
 */
export class LocalChanges {
  readonly #byRow = new Map<string, LocalChange>();

  get all(): readonly LocalChange[] {
    return [...this.#byRow.values()];
  }

  /** @param isConfirmed whether the server has sent the row */
  add(change: LocalChange, isConfirmed: boolean): void {
    const { entity, row_id, kind, data } = change;
    const key = nameOf(entity, row_id);
    const before = this.#byRow.get(key);
    const isThere = before === undefined ? isConfirmed : before.kind !== "delete";
    if (kind === "delete" && !isConfirmed) this.#byRow.delete(key);
    else if (kind === "update" && isThere && before !== undefined)
      this.#byRow.set(key, { ...before, data: { ...before.data, ...data } });
    else if (kind === "update" && !isThere)
      this.#byRow.set(key, { entity, row_id, kind: "insert", ...(data && { data }) });
    else this.#byRow.set(key, { entity, row_id, kind, ...(data && { data }) });
  }

  /** The server has sent a row. @returns whether a local change of it was removed */
  forget(entity: string, id: string): boolean {
    return this.#byRow.delete(nameOf(entity, id));
  }

  /** A snapshot arrived: local changes of the server's rows are removed. */
  keepOwnRows(): void {
    for (const [key, { kind }] of this.#byRow) if (kind !== "insert") this.#byRow.delete(key);
  }

  clear(): void {
    this.#byRow.clear();
  }
}

/** Names of entities contain no slash. */
function nameOf(entity: string, id: string): string {
  return `${entity}/${id}`;
}
