import type { Expr } from "@pylonsync/query";
import type { Aggregate, Found, Reader, SearchSelect, Select, StoredRow, Value } from "../store.ts";
import type { NameMap } from "./name-map.ts";

/** A reader with the names of the app, on top of one with the names of the database. */
export class RenamedReader implements Reader {
  readonly #inner: Reader;
  readonly #names: () => NameMap;
  readonly #hasOldNames: boolean;

  /**
   * @param names returns the current names at each read
   * @param hasOldNames rows also contain renamed fields under their old names
   */
  constructor(inner: Reader, names: () => NameMap, hasOldNames: boolean) {
    this.#inner = inner;
    this.#names = names;
    this.#hasOldNames = hasOldNames;
  }

  async get(entity: string, id: string): Promise<StoredRow | null> {
    const names = this.#names();
    if (names.isEmpty) return this.#inner.get(entity, id);
    const row = await this.#inner.get(names.table(entity), id);
    return row === null ? null : names.toRow(entity, row, this.#hasOldNames);
  }

  async select(query: Select): Promise<StoredRow[]> {
    const names = this.#names();
    if (names.isEmpty) return this.#inner.select(query);
    return this.#rows(names, query.entity, await this.#inner.select(names.toSelect(query)));
  }

  async search(query: SearchSelect): Promise<Found> {
    const names = this.#names();
    if (names.isEmpty) return this.#inner.search(query);
    const found = await this.#inner.search(names.toSelect(query));
    return { ...found, rows: this.#rows(names, query.entity, found.rows) };
  }

  count(entity: string, where?: Expr): Promise<number> {
    const names = this.#names();
    return names.isEmpty || where === undefined
      ? this.#inner.count(names.table(entity), where)
      : this.#inner.count(names.table(entity), names.expr(entity, where));
  }

  aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    const names = this.#names();
    return this.#inner.aggregate(names.isEmpty ? spec : names.toAggregate(spec));
  }

  test(expr: Expr): Promise<boolean> {
    const names = this.#names();
    return this.#inner.test(names.isEmpty ? expr : names.expr("", expr));
  }

  #rows(names: NameMap, entity: string, rows: StoredRow[]): StoredRow[] {
    return rows.map((row) => names.toRow(entity, row, this.#hasOldNames));
  }
}
