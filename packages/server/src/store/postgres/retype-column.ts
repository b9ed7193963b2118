import type { ClientBase } from "pg";
import type { MigrationStep } from "../../schema/migration.ts";
import { convertField } from "../../schema/field-code.ts";
import { notConvertible } from "../rows-do-not-fit.ts";
import type { Value } from "../store.ts";
import { quote } from "../sql/quote.ts";
import { encode } from "./codec.ts";
import { columnTypeOf } from "./ddl.ts";

type RetypeStep = MigrationStep & { readonly kind: "retype_column" | "convert_column" };

const PAGE = 1_000;

/**
 * Converts the values of a column to another type, by means of a second column.
 *
 * @throws PylonStartError if a value has no equivalent in the new type and the field can't be null,
 *   or if the app's function returns no valid value for it
 */
export async function retypeColumn(
  client: ClientBase,
  { kind, entity, from, to }: RetypeStep,
): Promise<void> {
  const [table, column, spare] = [quote(entity), quote(to.name), quote(`_pylon_retype_${to.name}`)];
  const type = columnTypeOf(to);
  await client.query(`ALTER TABLE ${table} ADD COLUMN ${spare} ${type}`);
  const write = `UPDATE ${table} AS t SET ${spare} = u.value
     FROM unnest($1::text[], $2::${type.replace(' COLLATE "C"', "")}[]) AS u(id, value)
     WHERE t.id = u.id`;
  for (let last = ""; ;) {
    const { rows } = await client.query<{ id: string; value: Value }>(
      `SELECT id, ${column} AS value FROM ${table}
         WHERE id > $1 AND ${column} IS NOT NULL ORDER BY id LIMIT $2`,
      [last, PAGE],
    );
    const values = rows.map(({ id, value }) => {
      const made = convertField(value, from, to);
      if (!made.ok && (kind === "convert_column" || !to.optional))
        throw notConvertible(entity, to.name, { id, reason: made.reason });
      return encode(made.ok ? made.value : null);
    });
    await client.query(write, [rows.map(({ id }) => id), values]);
    last = rows.at(-1)?.id ?? last;
    if (rows.length < PAGE) break;
  }
  await client.query(`ALTER TABLE ${table} DROP COLUMN ${column}`);
  await client.query(`ALTER TABLE ${table} RENAME COLUMN ${spare} TO ${column}`);
}
