import { compilePredicate, type Env, type Expr } from "@pylonsync/query";
import { equalityKeys, keysOf, type RowKey } from "../../policy/audience.ts";
import type { ChangeRecord, StoredRow, Value } from "../../store/store.ts";
import type { PositionReader } from "../position-reader.ts";
import { ValueIndex } from "../subscriptions/value-index.ts";

/**
 * The maximum number of rows per entry. Conditions that more rows match are evaluated for each
 * caller separately.
 */
const MAX_ROWS = 5_000;
/** The maximum number of rows of all entries together; each entry counts as one more row. */
const MAX_TOTAL = 200_000;

/** The rows of an entity that match a condition, kept up to date by the log. */
export class RelatedSet {
  readonly entity: string;
  readonly keys: readonly RowKey[] | null;
  readonly #rows: Map<string, StoredRow>;
  readonly #test: (env: Env) => boolean;
  #byField = new Map<string, Map<Value, StoredRow[]>>();
  #list: readonly StoredRow[] | null = null;

  constructor(entity: string, where: Expr, rows: readonly StoredRow[]) {
    this.entity = entity;
    this.keys = keysOf(where, (part) => equalityKeys(part, "data"));
    this.#test = compilePredicate(where);
    this.#rows = new Map(rows.map((row) => [row.id, row]));
  }

  get size(): number {
    return this.#rows.size;
  }

  get rows(): readonly StoredRow[] {
    this.#list ??= [...this.#rows.values()];
    return this.#list;
  }

  /** The rows by the values of a field. */
  by(field: string): ReadonlyMap<Value, readonly StoredRow[]> {
    const known = this.#byField.get(field);
    if (known !== undefined) return known;
    const groups = new Map<Value, StoredRow[]>();
    for (const row of this.#rows.values()) {
      const value = row[field] ?? null;
      const group = groups.get(value);
      if (group === undefined) groups.set(value, [row]);
      else group.push(row);
    }
    this.#byField.set(field, groups);
    return groups;
  }

  /** Applies a change. */
  apply({ rowId, after }: ChangeRecord): void {
    this.#rows.delete(rowId);
    if (after !== null && this.#test({ data: after })) this.#rows.set(rowId, after);
    this.#byField = new Map();
    this.#list = null;
  }
}

/**
 * The rows that policies read by `exists`, as of the feed's position. Rows that were read once are
 * kept and updated from the log, so that changes of rows whose readers are determined by a
 * membership require no query of the store.
 */
export class RelatedRows {
  /** The least recently used first. */
  readonly #sets = new Map<string, RelatedSet | "too many">();
  readonly #indexes = new Map<string, ValueIndex<RelatedSet>>();
  #total = 0;

  /**
   * @param where reads only `data`, and not the time
   * @param reader reads as of the current position
   * @returns null if too many rows match
   */
  async find(entity: string, where: Expr, reader: PositionReader): Promise<RelatedSet | null> {
    const key = `${entity} ${JSON.stringify(where)}`;
    const known = this.#sets.get(key);
    if (known !== undefined) {
      this.#sets.delete(key);
      this.#sets.set(key, known);
      return known === "too many" ? null : known;
    }
    const rows = await reader.rows(entity, where, MAX_ROWS + 1);
    if (rows.length > MAX_ROWS) {
      this.#keep(key, "too many");
      return null;
    }
    const set = new RelatedSet(entity, where, rows);
    this.#keep(key, set);
    return set;
  }

  /** Applies the next change of the log. */
  apply(record: ChangeRecord): void {
    const index = this.#indexes.get(record.entity);
    if (index === undefined) return;
    const found = new Set<RelatedSet>();
    index.find(record.before, found);
    index.find(record.after, found);
    for (const set of found) {
      this.#total -= set.size;
      set.apply(record);
      this.#total += set.size;
    }
  }

  /** Discards all rows, because changes were skipped or the schema was replaced. */
  clear(): void {
    this.#sets.clear();
    this.#indexes.clear();
    this.#total = 0;
  }

  #keep(key: string, set: RelatedSet | "too many"): void {
    this.#sets.set(key, set);
    this.#total += 1;
    if (set !== "too many") {
      this.#total += set.size;
      let index = this.#indexes.get(set.entity);
      if (index === undefined) this.#indexes.set(set.entity, (index = new ValueIndex()));
      index.add(set.keys, set);
    }
    while (this.#total > MAX_TOTAL && this.#sets.size > 1) this.#dropOldest();
  }

  #dropOldest(): void {
    for (const [key, set] of this.#sets) {
      this.#sets.delete(key);
      this.#total -= 1;
      if (set === "too many") return;
      this.#total -= set.size;
      this.#indexes.get(set.entity)?.delete(set.keys, set);
      return;
    }
  }
}
