import type { Expr } from "@pylonsync/query";
import type { NewChange, RowPlace, RowUpdate, StoredRow, Transaction, Value } from "../store.ts";
import type { NameMap } from "./name-map.ts";
import { RenamedReader } from "./renamed-reader.ts";

/**
 * A transaction with the names of the app. Its rows contain each field once, under its current
 * name, because they are the basis of the next write.
 */
export class RenamedTransaction extends RenamedReader implements Transaction {
  readonly #inner: Transaction;
  readonly #names: NameMap;

  constructor(inner: Transaction, names: NameMap) {
    super(inner, () => names, false);
    this.#inner = inner;
    this.#names = names;
  }

  insert(entity: string, row: StoredRow): Promise<void> {
    return this.#inAppNames(entity, () =>
      this.#inner.insert(this.#names.table(entity), this.#names.toTableRow(entity, row)),
    );
  }

  insertNew(entity: string, row: StoredRow): Promise<void> {
    return this.#inAppNames(entity, () =>
      this.#inner.insertNew(this.#names.table(entity), this.#names.toTableRow(entity, row)),
    );
  }

  insertMany(entity: string, rows: readonly StoredRow[]): Promise<void> {
    return this.#inAppNames(entity, () =>
      this.#inner.insertMany(
        this.#names.table(entity),
        rows.map((row) => this.#names.toTableRow(entity, row)),
      ),
    );
  }

  updateMany(
    entity: string,
    updates: readonly RowUpdate[],
  ): Promise<ReadonlyMap<string, RowPlace>> {
    return this.#inAppNames(entity, () =>
      this.#inner.updateMany(
        this.#names.table(entity),
        updates.map((update) => this.#toStored(entity, update)),
      ),
    );
  }

  updateAtEnd(entity: string, update: RowUpdate, refuse: () => Error): Promise<void> {
    const table = this.#names.table(entity);
    return this.#inAppNames(entity, () =>
      this.#inner.updateAtEnd(table, this.#toStored(entity, update), refuse),
    );
  }

  update(entity: string, id: string, patch: Readonly<Record<string, Value>>): Promise<boolean> {
    return this.#inAppNames(entity, () =>
      this.#inner.update(this.#names.table(entity), id, this.#names.toColumns(entity, patch)),
    );
  }

  delete(entity: string, id: string): Promise<boolean> {
    return this.#inner.delete(this.#names.table(entity), id);
  }

  deleteWhere(entity: string, where: Expr): Promise<number> {
    return this.#inner.deleteWhere(this.#names.table(entity), this.#names.expr(entity, where));
  }

  append(change: NewChange): Promise<void> {
    return this.#inner.append(this.#names.toStoredChange(change));
  }

  attempt<T>(part: () => Promise<T>): Promise<T> {
    return this.#inner.attempt(part);
  }

  #toStored(entity: string, { patch, expected, ...rest }: RowUpdate): RowUpdate {
    return {
      ...rest,
      patch: this.#names.toColumns(entity, patch),
      ...(expected === undefined ? {} : { expected: this.#names.toColumns(entity, expected) }),
    };
  }

  async #inAppNames<T>(entity: string, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      throw this.#names.toError(entity, error);
    }
  }
}
