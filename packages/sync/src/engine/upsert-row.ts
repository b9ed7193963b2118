import { createIdFactory, type ClientChange } from "@pylonsync/protocol";
import { MutationError, PylonClientError } from "../connection/errors.ts";
import { toPlain } from "../outbox/plain.ts";
import type { SyncEngine } from "./engine.ts";

type Fields = Readonly<Record<string, unknown>>;
type Target = Omit<ClientChange, "op_id" | "data">;

/**
 * Updates the row with the same value of a unique field, or inserts a new row. The replica shows an
 * update immediately if it has the row, and otherwise an insert; the server, once it is reachable,
 * decides by its own rows, so a new row may get another id.
 *
 * @param by a unique field, the fields of a unique index, or `id`
 * @param data the data for an insert
 * @param update the patch for an existing row; default: the changeable fields of `data`
 * @returns resolves like `insert`
 * @throws MutationError like `insert`
 * @example
 * await upsertRow(engine, "Visit", "path", { path: "/", n: 1 }, { n: { $increment: 1 } });
 */
export async function upsertRow(
  engine: SyncEngine,
  entity: string,
  by: string | readonly string[],
  data: Fields,
  update?: Fields,
): Promise<void> {
  const names = typeof by === "string" ? [by] : [...by];
  const upsert = { by: names, ...(update === undefined ? {} : { update }) };
  const { id, ...fields } = data;
  const known = idOf(engine, entity, names, data);
  if (known === undefined) {
    const { now, randomBytes } = engine.platform;
    const rowId = typeof id === "string" ? id : createIdFactory(now, randomBytes)();
    const target = { entity, row_id: rowId, kind: "insert", upsert } as const;
    return engine.write(withPlainUpsert(engine, target), fields);
  }
  const changed = Object.entries(fields).filter(([name]) => !names.includes(name));
  const whole = { ...upsert, data };
  const target = { entity, row_id: known, kind: "update", upsert: whole } as const;
  return engine.write(withPlainUpsert(engine, target), update ?? Object.fromEntries(changed));
}

/**
 * Copies the values as JSON represents them, as `write` does for those of the change itself.
 *
 * @throws MutationError `UNSENDABLE`
 */
function withPlainUpsert(
  engine: SyncEngine,
  { upsert, ...target }: Target & { readonly upsert: NonNullable<ClientChange["upsert"]> },
): Target {
  const { by, ...values } = upsert;
  try {
    const copies = Object.entries(values).map(([name, value]) => [name, toPlain(value)]);
    return { ...target, upsert: { by, ...Object.fromEntries(copies) } };
  } catch (error) {
    if (!(error instanceof PylonClientError)) throw error;
    const refusal = new MutationError(target, error);
    engine.mutations.refuse(refusal);
    throw refusal;
  }
}

/** The row of the replica with this key. */
function idOf(
  engine: SyncEngine,
  entity: string,
  names: readonly string[],
  data: Fields,
): string | undefined {
  const key = Object.fromEntries(names.map((name) => [name, data[name]]));
  // The server rejects a key without a value.
  const isWhole = Object.values(key).every((value) => value !== null && value !== undefined);
  if (names.length === 0 || !isWhole) return undefined;
  try {
    return engine.query(entity, { where: key, limit: 1 }).getSnapshot()[0]?.id;
  } catch {
    // A value that the field can't have is rejected when the change is queued or sent.
    return undefined;
  }
}
