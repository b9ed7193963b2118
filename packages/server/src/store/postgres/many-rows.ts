import type { EntityShape, FieldKind } from "@pylonsync/query";
import { quote } from "../sql/quote.ts";
import type { RowUpdate, StoredRow, Value } from "../store.ts";

/** A statement with its parameters, each of which is a column of the rows. */
export interface ManyStatement {
  readonly text: string;
  readonly params: readonly (readonly Value[])[];
}

/** One statement for any number of rows: each column is a parameter. */
const ARRAY_TYPES: Readonly<Record<FieldKind, string>> = {
  string: "text[]",
  richtext: "text[]",
  id: "text[]",
  datetime: "timestamptz[]",
  int: "int8[]",
  bool: "bool[]",
  float: "float8[]",
  json: "json[]",
  array: "json[]",
};

/** Inserts rows with the same fields; leaves out those whose id is taken. */
export function insertManyStatement(shape: EntityShape, rows: readonly StoredRow[]): ManyStatement {
  const names = Object.keys(rows[0] ?? {});
  const columns = names.map(quote).join(", ");
  const arrays = names.map((name, index) => `$${index + 1}::${arrayType(shape, name)}`);
  return {
    text:
      `INSERT INTO ${quote(shape.name)} (${columns})` +
      ` SELECT * FROM unnest(${arrays.join(", ")}) ON CONFLICT DO NOTHING`,
    params: names.map((name) => rows.map((row) => row[name] ?? null)),
  };
}

/**
 * Updates rows that hold what is expected, and answers `id` and `place` of each.
 *
 * By their places they are found without an index. A serializable transaction that reads an index
 * meets each one that writes to the same page of it, and each update of a neighbour may: of two
 * that update neighbours one would run again.
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
  const arrays = columns.map(({ type }, index) => `$${index + 1}::${type}`).join(", ");
  const named = columns.map(({ name }) => quote(name)).join(", ");
  const sets = patched.map((name) => `${quote(name)} = r.${quote(`to ${name}`)}`).join(", ");
  const conditions = [
    // The text is computed, so that no index is used for it.
    how === "by-place" ? `t.ctid = r.place AND t.id || '' = r.id` : `t.id = r.id`,
    ...expected.map((name) => `t.${quote(name)} = r.${quote(`from ${name}`)}`),
  ];
  return {
    text:
      `UPDATE ${quote(shape.name)} AS t SET ${sets}` +
      ` FROM unnest(${arrays}) AS r (${named})` +
      ` WHERE ${conditions.join(" AND ")} RETURNING t.id AS id, t.ctid::text AS place`,
    params: columns.map(({ values }) => values),
  };
}

function arrayType(shape: EntityShape, name: string): string {
  const kind = shape.fields.get(name);
  if (kind === undefined) throw new Error(`${shape.name} has no column ${name}.`);
  return ARRAY_TYPES[kind];
}
