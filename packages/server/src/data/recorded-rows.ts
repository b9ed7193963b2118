import type { Entity } from "../schema/schema.ts";
import type { StoredRow, Transaction, Value } from "../store/store.ts";
import { prepareFileLinks, type ApplyLinks } from "./file-links.ts";
import { checkReferences, hasIdOf } from "./references.ts";
import type { WriterOptions } from "./writer-options.ts";

/**
 * Writes validated rows. For each row it checks the references, updates the links of its files,
 * encrypts its encrypted fields, and appends a change record.
 */
export class RecordedRows {
  readonly #tx: Transaction;
  readonly #options: WriterOptions;

  constructor(tx: Transaction, options: WriterOptions) {
    this.#tx = tx;
    this.#options = options;
  }

  /**
   * @param isNewId whether the row's id was just created
   * @throws PylonError INVALID_DATA, REFERENCE_NOT_FOUND, UNIQUE_VIOLATION, and ID_TAKEN unless
   *   `isNewId`
   */
  async insert(entity: Entity, row: StoredRow, isNewId: boolean): Promise<void> {
    if (this.#mustRefer(entity)) await checkReferences(this.#tx, entity, null, row);
    const linkFiles = hasFiles(entity) ? await this.#prepareFiles(entity, null, row) : null;
    const stored = entity.sealing.sealed(row.id, row);
    if (isNewId) await this.#tx.insertNew(entity.name, stored);
    else await this.#tx.insert(entity.name, stored);
    if (linkFiles !== null) await linkFiles();
    await this.#append(entity, row.id, "insert", null, stored);
  }

  /**
   * @param after `before` with `patch` applied
   * @throws PylonError as `insert`
   */
  async update(
    entity: Entity,
    before: StoredRow,
    patch: Readonly<Record<string, Value>>,
    after: StoredRow,
  ): Promise<void> {
    if (this.#mustRefer(entity)) await checkReferences(this.#tx, entity, before, after);
    const linkFiles = hasFiles(entity) ? await this.#prepareFiles(entity, before, after) : null;
    const { sealed } = entity.sealing;
    const change = sealed(before.id, patch);
    await this.#tx.update(entity.name, before.id, change);
    if (linkFiles !== null) await linkFiles();
    const old = sealed(before.id, before);
    const stored = entity.isEncrypted ? { ...old, ...change } : after;
    await this.#append(entity, before.id, "update", old, stored);
    await this.#options.onUpdate?.(this.#tx, entity.name, before, after);
  }

  /** @throws PylonError REFERENCED */
  async delete(entity: Entity, before: StoredRow): Promise<void> {
    const linkFiles = hasFiles(entity) ? await this.#prepareFiles(entity, before, null) : null;
    await this.#tx.delete(entity.name, before.id);
    if (linkFiles !== null) await linkFiles();
    await this.#recordDelete(entity, before);
  }

  /** Deletes rows of an entity without file fields, in one statement. */
  async deleteAll(entity: Entity, rows: readonly StoredRow[]): Promise<void> {
    await this.#tx.deleteWhere(entity.name, hasIdOf(rows));
    for (const row of rows) await this.#recordDelete(entity, row);
  }

  async #recordDelete(entity: Entity, before: StoredRow): Promise<void> {
    await this.#append(entity, before.id, "delete", entity.sealing.sealed(before.id, before), null);
    await this.#options.onDelete?.(this.#tx, entity.name, before);
  }

  #append(
    entity: Entity,
    rowId: string,
    kind: "insert" | "update" | "delete",
    before: StoredRow | null,
    after: StoredRow | null,
  ): Promise<void> {
    return this.#tx.append({
      entity: entity.name,
      rowId,
      kind,
      before: before === null ? null : entity.logged(before),
      after: after === null ? null : entity.logged(after),
      at: this.#options.now,
    });
  }

  #mustRefer(entity: Entity): boolean {
    return entity.references.length > 0 && this.#options.references !== "unchecked";
  }

  /** @throws PylonError INVALID_DATA */
  #prepareFiles(
    entity: Entity,
    before: StoredRow | null,
    after: StoredRow | null,
  ): Promise<ApplyLinks> {
    const { caller, policies, now } = this.#options;
    return prepareFileLinks(
      this.#tx,
      entity,
      { before, after },
      { caller, trusted: policies === "bypassed" || caller.isAdmin, now },
    );
  }
}

function hasFiles({ fileFields }: Entity): boolean {
  return fileFields.length > 0;
}
