import { literal, path, type EntityShape, type Expr, type FieldKind } from "@pylonsync/query";
import type {
  NewChange,
  Reader,
  Select,
  Store,
  StoredRow,
  Transaction,
  TransactOptions,
  Value,
} from "./store.ts";

/** A system table as the stores create it: its shape, and the fields of each of its indexes. */
export interface SystemTable extends EntityShape {
  readonly indexed: readonly (readonly string[])[];
  /** The indexes of `indexed` that omit rows without a value in their first field. */
  readonly sparse: ReadonlySet<readonly string[]>;
  /** Indexes of older versions, which are dropped. */
  readonly dropped: readonly (readonly string[])[];
}

/** The storage format of one column. */
export interface Column<T> {
  /** The kind of the stored values. */
  readonly kind: FieldKind;
  /**
   * @throws TypeError for a value that `encode` does not produce: another version or a third party
   *   wrote it
   */
  readonly decode: (stored: Value) => T;
  /** @throws TypeError for a value of another type */
  readonly encode: (value: unknown) => Value;
}

type Columns = Readonly<Record<string, Column<unknown>>>;
type NameOf<C extends Columns> = keyof C & string;

/** A row of the table that `defineTable` creates from these columns. */
type RowOfColumns<C extends Columns> = { readonly id: string } & {
  readonly [Name in keyof C]: C[Name] extends Column<infer T> ? T : never;
};

/** A row of a table: `RowOf<typeof SYSTEM_TABLES.sessions>`. */
export type RowOf<T> = T extends Table<infer C> ? RowOfColumns<C> : never;

/** A select from a system table; as in `Select` of the store. */
export interface TableSelect<C extends Columns> {
  readonly where?: Expr | undefined;
  readonly order?: readonly {
    readonly field: NameOf<C> | "id";
    readonly direction: "asc" | "desc";
  }[];
  readonly limit?: number | undefined;
  readonly isClaim?: boolean | undefined;
}

/** A text. */
export function text(): Column<string> {
  return plain("string", (value) => typeof value === "string");
}

/** One of the given texts. */
export function oneOf<const T extends string>(...known: readonly T[]): Column<T> {
  return plain("string", (value): value is T => known.some((one) => one === value));
}

/** A whole number. */
export function int(): Column<number> {
  return plain("int", (value) => typeof value === "number");
}

/** True or false. */
export function flag(): Column<boolean> {
  return plain("bool", (value) => typeof value === "boolean");
}

/**
 * A point in time, in milliseconds since 1970. The database stores ISO 8601, or its native date
 * type.
 */
export function time(): Column<number> {
  return {
    kind: "datetime",
    decode(stored) {
      const moment = typeof stored === "string" ? Date.parse(stored) : Number.NaN;
      if (Number.isNaN(moment)) throw mismatch("a date", stored);
      return moment;
    },
    encode(value) {
      if (typeof value !== "number") throw mismatch("a time", value);
      return isoTime(value);
    },
  };
}

/**
 * JSON that only Pylon writes: values that are read are assumed to have the type.
 *
 * @typeParam T a type that JSON can represent
 */
export function json<T>(): Column<T> {
  return {
    kind: "string",
    decode(stored) {
      if (typeof stored !== "string") throw mismatch("JSON", stored);
      return JSON.parse(stored) as T;
    },
    encode: (value) => JSON.stringify(value),
  };
}

/**
 * A column that may be null: because the row has no such value, or was written by a version without
 * the column.
 */
export function nullable<T>({ kind, decode, encode }: Column<T>): Column<T | null> {
  return {
    kind,
    decode: (stored) => (stored === null ? null : decode(stored)),
    encode: (value) => (value === null ? null : encode(value)),
  };
}

/**
 * The ISO 8601 text of a time, in UTC with milliseconds, as in JSON.
 *
 * @param ms since 1970
 */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** Like `isoTime`, for a time that may be null. */
export function isoTimeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}

/**
 * Defines a system table, in which every row has a text `id`.
 *
 * @param options.indexed indexes: each a field, or several fields
 * @param options.sparse indexes of only those rows that have a value in the first field: other rows
 *   add no cost to them, and a query for rows without a value does not use them
 * @param options.dropped indexes that an older version created, and that are no longer needed
 */
export function defineTable<const C extends Columns>(
  name: string,
  columns: C,
  options: {
    readonly indexed?: IndexesOf<C>;
    readonly sparse?: IndexesOf<C>;
    readonly dropped?: IndexesOf<C>;
  } = {},
): Table<C> {
  const listed = (indexes: IndexesOf<C> = []): (readonly string[])[] =>
    indexes.map((fields) => (typeof fields === "string" ? [fields] : fields));
  const sparse = listed(options.sparse);
  return new Table(name, columns, {
    indexed: [...listed(options.indexed), ...sparse],
    sparse: new Set(sparse),
    dropped: listed(options.dropped),
  });
}

type IndexesOf<C extends Columns> = readonly (NameOf<C> | readonly (NameOf<C> | "id")[])[];

const BY_ID: TransactOptions = { isolation: "snapshot" };

/**
 * Runs a transaction that writes only rows that it looked up by id, and whose decisions depend on
 * nothing else: it never conflicts with work on other rows.
 *
 * @throws what `work` throws; nothing is written then
 */
export function transactById<T>(store: Store, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return store.transact(work, BY_ID);
}

/**
 * A system table with typed rows. It holds no connection: each method receives the store or the
 * transaction to read from or write to, and throws the errors of that.
 */
export class Table<C extends Columns> implements SystemTable {
  readonly name: string;
  readonly indexed: readonly (readonly string[])[];
  readonly sparse: ReadonlySet<readonly string[]>;
  readonly dropped: readonly (readonly string[])[];
  readonly fields: ReadonlyMap<string, FieldKind>;
  readonly #columns: C;

  constructor(
    name: string,
    columns: C,
    { indexed, sparse, dropped }: Pick<SystemTable, "indexed" | "sparse" | "dropped">,
  ) {
    this.name = name;
    this.indexed = indexed;
    this.sparse = sparse;
    this.dropped = dropped;
    this.#columns = columns;
    this.fields = new Map<string, FieldKind>([
      ["id", "id"],
      ...Object.entries(columns).map(([column, { kind }]) => [column, kind] as const),
    ]);
  }

  /** The row with this id, or null. */
  async get(reader: Reader, id: string): Promise<RowOfColumns<C> | null> {
    const row = await reader.get(this.name, id);
    return row === null ? null : this.#decode(row);
  }

  /** The matching rows; without `where`, all rows. */
  async select(reader: Reader, query: TableSelect<C> = {}): Promise<RowOfColumns<C>[]> {
    const select: Select = { entity: this.name, ...query };
    return (await reader.select(select)).map((row) => this.#decode(row));
  }

  /** The number of matching rows. */
  count(reader: Reader, where?: Expr): Promise<number> {
    return reader.count(this.name, where);
  }

  /** @throws PylonError ID_TAKEN */
  insert(tx: Transaction, row: RowOfColumns<C>): Promise<void> {
    return tx.insert(this.name, { ...this.#encode(row), id: row.id });
  }

  /** Inserts a row that certainly does not exist, together with other rows of the transaction. */
  insertNew(tx: Transaction, row: RowOfColumns<C>): Promise<void> {
    return tx.insertNew(this.name, { ...this.#encode(row), id: row.id });
  }

  /**
   * Sets the given fields.
   *
   * @returns whether the row existed
   */
  update(tx: Transaction, id: string, patch: Partial<RowOfColumns<C>>): Promise<boolean> {
    return tx.update(this.name, id, this.#encode(patch));
  }

  /** Replaces the row with the same id, or inserts a new one. */
  async put(tx: Transaction, { id, ...values }: RowOfColumns<C>): Promise<void> {
    const encoded = this.#encode(values);
    if (!(await tx.update(this.name, id, encoded))) await tx.insert(this.name, { ...encoded, id });
  }

  /** @returns whether the row existed */
  delete(tx: Transaction, id: string): Promise<boolean> {
    return tx.delete(this.name, id);
  }

  /**
   * Deletes the matching rows.
   *
   * @returns the number of deleted rows
   */
  deleteWhere(tx: Transaction, where: Expr): Promise<number> {
    return tx.deleteWhere(this.name, where);
  }

  /**
   * Appends to the change log that a row has changed or was deleted: this notifies the other
   * replicas, but no client.
   *
   * @param at milliseconds since 1970
   */
  announce(tx: Transaction, rowId: string, kind: NewChange["kind"], at: number): Promise<void> {
    return tx.append({ entity: this.name, rowId, kind, before: null, after: null, at });
  }

  /** The condition that the column has this value. */
  is<Name extends NameOf<C> | "id">(column: Name, value: RowOfColumns<C>[Name]): Expr {
    return this.#compare("==", column, value);
  }

  /** The condition that the column is at most this value; for a time: then or earlier. */
  isUpTo<Name extends NameOf<C>>(column: Name, value: RowOfColumns<C>[Name]): Expr {
    return this.#compare("<=", column, value);
  }

  /** The condition that the column is below this value; for a time: earlier. */
  isBelow<Name extends NameOf<C>>(column: Name, value: RowOfColumns<C>[Name]): Expr {
    return this.#compare("<", column, value);
  }

  /** The condition that the column is above this value; for a time: later. */
  isAbove<Name extends NameOf<C>>(column: Name, value: RowOfColumns<C>[Name]): Expr {
    return this.#compare(">", column, value);
  }

  #compare(op: "==" | "<=" | "<" | ">", column: string, value: unknown): Expr {
    const stored = this.#encode({ [column]: value })[column] ?? null;
    if (typeof stored === "object" && stored !== null)
      throw new Error(`${this.name}.${column} is compared with an object.`);
    return { kind: "compare", op, left: path("data", column), right: literal(stored) };
  }

  #encode(values: Readonly<Record<string, unknown>>): Record<string, Value> {
    const encoded: Record<string, Value> = {};
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) continue;
      const { encode } = this.#columnOf(name);
      encoded[name] = this.#guard(name, () => encode(value));
    }
    return encoded;
  }

  #decode(row: StoredRow): RowOfColumns<C> {
    const decoded: Record<string, unknown> = { id: row.id };
    for (const [name, { decode }] of Object.entries(this.#columns))
      decoded[name] = this.#guard(name, () => decode(row[name] ?? null));
    return decoded as RowOfColumns<C>;
  }

  #columnOf(name: string): Column<unknown> {
    const column = name === "id" ? ID : this.#columns[name];
    if (column === undefined) throw new TypeError(`${this.name} has no column ${name}.`);
    return column;
  }

  /**
   * Names the column of an invalid value in the error, but not the value, which may be a secret.
   */
  #guard<T>(column: string, convert: () => T): T {
    try {
      return convert();
    } catch (cause) {
      throw new TypeError(`${this.name}.${column} does not have its declared type.`, {
        cause,
      });
    }
  }
}

const ID = text();

function plain<T extends Value>(kind: FieldKind, isOne: (value: unknown) => value is T): Column<T> {
  const check = (value: unknown): T => {
    if (isOne(value)) return value;
    throw mismatch(kind, value);
  };
  return { kind, decode: check, encode: check };
}

function mismatch(wanted: string, value: unknown): TypeError {
  return new TypeError(`The value is not ${wanted}: ${value === null ? "null" : typeof value}.`);
}
