import type { EntityShape, FieldKind } from "@pylonsync/query";
import { encode } from "./codec.ts";
import { quote } from "../sql/quote.ts";
import type { RowUpdate, StoredRow, Value } from "../store.ts";

/**
 * A statement with its parameters: each is the list of a column's values, or the value that all
 * rows share.
 */
export interface ManyStatement {
  readonly text: string;
  readonly params: readonly (Value | readonly Value[])[];
}

/** A column of the rows of a statement. */
interface Column {
  readonly name: string;
  /** The type of the list of its values. */
  readonly type: string;
  readonly values: readonly Value[];
}

const SYSTEM_PREFIX = "_pylon_";
/**
 * Costs a third of an insert: the server searches each unique index twice, and logs the row twice.
 */
const UNLESS_TAKEN = " ON CONFLICT DO NOTHING";
/** The columns whose values are different in each row. */
const KEYS: readonly string[] = ["id", "place"];

/**
 * The array types with which one statement serves any number of rows: each column is a parameter.
 */
const ARRAY_TYPES: Readonly<Record<FieldKind, string>> = {
  string: "text[]",
  richtext: "text[]",
  id: "text[]",
  datetime: "timestamptz[]",
  int: "int8[]",
  bool: "bool[]",
  float: "float8[]",
  decimal: "numeric[]",
  json: "json[]",
  array: "json[]",
  encrypted: "text[]",
};

/** Inserts a row, unless one of its unique values is taken. */
export function insertStatement(entity: string, row: StoredRow): ManyStatement {
  const { text, params } = insertNewStatement(entity, row);
  return { text: text + UNLESS_TAKEN, params };
}

/** Inserts a row. The statement fails if one of its unique values is taken. */
export function insertNewStatement(entity: string, row: StoredRow): ManyStatement {
  const names = Object.keys(row);
  const marks = names.map((_, index) => `$${index + 1}`).join(", ");
  const columns = names.map(quote).join(", ");
  const into = `INSERT INTO ${quote(entity)} (${columns})`;
  return {
    text: `${into} VALUES (${marks})`,
    params: Object.values(row).map(encode),
  };
}

/** Inserts rows with the same fields; leaves out those whose id is taken. */
export function insertManyStatement(shape: EntityShape, rows: readonly StoredRow[]): ManyStatement {
  const { text, params } = insertManyNewStatement(shape, rows);
  return { text: text + UNLESS_TAKEN, params };
}

/** Inserts rows with the same fields. The statement fails if one of their ids is taken. */
export function insertManyNewStatement(
  shape: EntityShape,
  rows: readonly StoredRow[],
): ManyStatement {
  const names = Object.keys(rows[0] ?? {});
  const columns = names.map((name) => ({
    name,
    type: arrayType(shape, name),
    values: rows.map((row) => encode(row[name] ?? null)),
  }));
  const { source, valueOf, params } = rowsOf(shape, columns);
  return {
    text:
      `INSERT INTO ${quote(shape.name)} (${names.map(quote).join(", ")})` +
      ` SELECT ${names.map(valueOf).join(", ")} FROM ${source}`,
    params,
  };
}

/**
 * Updates rows that have the expected values, and returns `id` and `place` of each.
 *
 * With their places, rows are found without an index. A serializable transaction that reads an
 * index conflicts with every one that writes to the same page of it, as an update of an adjacent
 * row may: of two transactions that update adjacent rows, one would have to run again.
 */
export function updateManyStatement(
  shape: EntityShape,
  updates: readonly RowUpdate[],
  how: "by-place" | "by-id",
): ManyStatement {
  const [first] = updates;
  const patched = Object.keys(first?.patch ?? {});
  const expected = Object.keys(first?.expected ?? {});
  const columns = [
    { name: "place", type: "tid[]", values: updates.map(({ place = null }) => place) },
    { name: "id", type: "text[]", values: updates.map(({ id }) => id) },
    ...patched.map((name) => ({
      name: `to ${name}`,
      type: arrayType(shape, name),
      values: updates.map(({ patch }) => patch[name] ?? null),
    })),
    ...expected.map((name) => ({
      name: `from ${name}`,
      type: arrayType(shape, name),
      values: updates.map((update) => update.expected?.[name] ?? null),
    })),
  ];
  const { source, valueOf, params } = rowsOf(shape, columns);
  const sets = patched.map((name) => `${quote(name)} = ${valueOf(`to ${name}`)}`).join(", ");
  const conditions = [
    // The text is computed, so that no index is used for it.
    how === "by-place" ? `t.ctid = r.place AND t.id || '' = r.id` : `t.id = r.id`,
    ...expected.map((name) => `t.${quote(name)} = ${valueOf(`from ${name}`)}`),
  ];
  return {
    text:
      `UPDATE ${quote(shape.name)} AS t SET ${sets}` +
      ` FROM ${source}` +
      ` WHERE ${conditions.join(" AND ")} RETURNING t.id AS id, t.ctid::text AS place`,
    params,
  };
}

/**
 * Returns the rows as a source to select from, and the expression for each column in it. In system
 * tables, a value that all rows share is sent once: most columns of jobs that are created, claimed
 * or finished together. Rows of the app may share values in any of their columns, and each
 * combination of columns would be another prepared statement.
 */
function rowsOf(
  shape: EntityShape,
  columns: readonly Column[],
): {
  readonly source: string;
  readonly valueOf: (name: string) => string;
  readonly params: ManyStatement["params"];
} {
  const isSystem = shape.name.startsWith(SYSTEM_PREFIX);
  const shared = new Map<string, string>();
  const listed: string[] = [];
  const arrays: string[] = [];
  const params = columns.map(({ name, type, values }, index) => {
    const [first = null] = values;
    if (isSystem && !KEYS.includes(name) && values.every((value) => value === first)) {
      shared.set(name, `$${index + 1}::${type.slice(0, -"[]".length)}`);
      return first;
    }
    listed.push(quote(name));
    arrays.push(`$${index + 1}::${type}`);
    return values;
  });
  return {
    source: `unnest(${arrays.join(", ")}) AS r (${listed.join(", ")})`,
    valueOf: (name) => shared.get(name) ?? `r.${quote(name)}`,
    params,
  };
}

function arrayType(shape: EntityShape, name: string): string {
  const kind = shape.fields.get(name);
  if (kind === undefined) throw new Error(`${shape.name} has no column ${name}.`);
  return ARRAY_TYPES[kind];
}
