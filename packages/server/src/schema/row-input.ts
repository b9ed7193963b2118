import { isRowId, PylonError } from "@pylonsync/protocol";
import type { DefaultContext } from "@pylonsync/sdk";
import { describeValue, fieldOperatorHint, nearest, type FieldOperator } from "@pylonsync/query";
import type { StoredRow, Value } from "./row.ts";
import { isRecord } from "../util/is-record.ts";
import { callFieldCode } from "./field-code.ts";
import { isServerWritten, type Entity, type Field } from "./schema.ts";

/**
 * Validates the row id that a caller sent.
 *
 * @returns undefined if there is none
 * @throws PylonError INVALID_ID
 */
export function checkedId(id: unknown, field = "id"): string | undefined {
  if (id === undefined || isRowId(id)) return id;
  const shown = typeof id === "string" ? JSON.stringify(id.slice(0, 80)) : describeValue(id);
  throw new PylonError("INVALID_ID", `${shown} is not a valid row id.`, {
    field,
    hint: "Use 1 to 64 characters of A-Z a-z 0-9 _ -. To insert a row, you can omit the id.",
  });
}

/**
 * Removes the id from the data of an update. Clients send the whole row including its id, which is
 * not a field of the patch.
 *
 * @returns the data without the id
 * @throws PylonError READONLY_FIELD if it is the id of another row
 */
export function withoutId(data: unknown, id: string): unknown {
  if (!isRecord(data) || !Object.hasOwn(data, "id")) return data;
  const { id: named, ...fields } = data;
  if (named === undefined || named === id) return fields;
  throw new PylonError("READONLY_FIELD", "The id of a row can't be changed.", {
    field: "id",
    hint: "Omit it, or insert a new row and delete this one.",
  });
}

/**
 * Separates the id from the data of an insert, which may contain one. A value that is not an object
 * is returned unchanged, so that the validation rejects it.
 */
export function splitId(data: unknown): { readonly id: unknown; readonly fields: unknown } {
  if (!isRecord(data)) return { id: undefined, fields: data };
  const { id, ...fields } = data;
  return { id, fields };
}

/** The inputs of defaults that are generated at the insert. */
export interface Generators {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly uuid: () => string;
  readonly caller: DefaultContext["auth"];
}

/**
 * Validates the data of an insert.
 *
 * @param generators the values of the defaults `now` and `uuid`, and the input of default functions
 * @returns every declared field: its value, its default, or null. An owner field may be null: the
 *   caller's id is set later. A computed field is null: it is computed from the whole row.
 * @throws PylonError INVALID_DATA, INVALID_COLUMN, MISSING_FIELD with the `field`
 */
export function checkInsert(
  entity: Entity,
  data: unknown,
  generators: Generators,
): Record<string, Value> {
  const given = asObject(entity, data);
  refuseUnknown(entity, given);
  const row: Record<string, Value> = {};
  const made: Field[] = [];
  for (const field of entity.fields.values()) {
    const value = Object.hasOwn(given, field.name) ? given[field.name] : undefined;
    if (field.compute !== undefined) row[field.name] = null;
    else if (value === undefined && field.makeDefault !== undefined) made.push(field);
    else if (value === undefined) row[field.name] = absent(entity, field, generators);
    else
      row[field.name] = value === null ? nullFor(entity, field) : checkValue(entity, field, value);
  }
  for (const field of made) row[field.name] = madeDefault(entity, field, row, generators);
  return row;
}

/** @throws PylonError INVALID_DATA, MISSING_FIELD with the `field` */
function madeDefault(
  entity: Entity,
  field: Field,
  row: Readonly<Record<string, Value>>,
  { now, uuid, caller }: Generators,
): Value {
  const { makeDefault } = field;
  const { userId, isAdmin, tenantId, roles } = caller;
  const auth = { userId, isAdmin, tenantId, roles };
  const value = callFieldCode(`The default of ${entity.name}.${field.name}`, () =>
    makeDefault?.({ auth, now, uuid, data: { ...row } }),
  );
  if (value !== null && value !== undefined) return checkValue(entity, field, value);
  if (field.optional || field.owner) return null;
  throw new PylonError("MISSING_FIELD", `${entity.name}.${field.name} is required.`, {
    field: field.name,
    hint: `Send a ${field.kind}: the field's default returned no value for this insert.`,
  });
}

/**
 * Computes the values of the entity's computed fields from the row.
 *
 * @throws PylonError INVALID_DATA with the `field`, for a value that the field does not accept
 */
export function computedOf(entity: Entity, row: StoredRow): Record<string, Value> {
  const values: Record<string, Value> = {};
  for (const field of entity.computed) {
    const value = callFieldCode(`${entity.name}.${field.name}`, () =>
      field.compute({ ...row, ...values }),
    );
    values[field.name] =
      value === null || value === undefined
        ? nullFor(entity, field)
        : checkValue(entity, field, value);
  }
  return values;
}

/**
 * Validates the data of an update.
 *
 * @param options.admin whether fields that are fixed after the insert, and those managed by
 *   sign-up, may be changed
 * @param options.stamps whether timestamps of the server may be changed; computed fields are then
 *   ignored
 * @param options.operators the fields whose values are computed from the row's own, by
 *   `resolveOperators`
 * @returns the given fields, without computed ones and those with operators
 * @throws PylonError INVALID_DATA, INVALID_COLUMN, READONLY_FIELD with the `field`
 */
export function checkPatch(
  entity: Entity,
  data: unknown,
  options: {
    readonly admin: boolean;
    readonly stamps: boolean;
    readonly operators?: ReadonlyMap<string, FieldOperator>;
  },
): Record<string, Value> {
  const given = asObject(entity, data);
  refuseUnknown(entity, given);
  const patch: Record<string, Value> = {};
  for (const [name, value] of Object.entries(given)) {
    const field = entity.fields.get(name);
    if (field === undefined || value === undefined) continue;
    if ((field.readonly || field.owner) && !options.admin) {
      throw new PylonError(
        "READONLY_FIELD",
        `${entity.name}.${name} is set when the row is inserted, and can't be changed.`,
        { field: name, hint: "Omit the field." },
      );
    }
    if (field.managed && !options.admin) throw managed(entity, name);
    if (isServerWritten(field) && !options.stamps) throw writtenByServer(entity, name);
    if (field.compute !== undefined) continue;
    if (options.operators?.has(name) === true) continue;
    patch[name] = value === null ? nullFor(entity, field) : checkValue(entity, field, value);
  }
  return patch;
}

/**
 * @throws PylonError READONLY_FIELD if the data of an insert contains a field that only sign-up and
 *   server functions write
 */
export function refuseManaged(entity: Entity, data: unknown): void {
  for (const [name, value] of Object.entries(asObject(entity, data))) {
    if (entity.fields.get(name)?.managed === true && value !== null && value !== undefined)
      throw managed(entity, name);
  }
}

/**
 * @param options.stamps whether timestamps of the server are allowed; computed fields never are
 * @throws PylonError READONLY_FIELD if the data contains a field that only the server writes
 */
export function refuseServerFields(
  entity: Entity,
  data: unknown,
  { stamps }: { readonly stamps: boolean },
): void {
  for (const [name, value] of Object.entries(asObject(entity, data))) {
    const field = entity.fields.get(name);
    if (value === undefined || field === undefined || !isServerWritten(field)) continue;
    if (!stamps || field.compute !== undefined) throw writtenByServer(entity, name);
  }
}

function writtenByServer(entity: Entity, name: string): PylonError {
  const isComputed = entity.fields.get(name)?.compute !== undefined;
  return new PylonError(
    "READONLY_FIELD",
    isComputed
      ? `${entity.name}.${name} is computed from the other fields of the row.`
      : `${entity.name}.${name} is set by the server.`,
    { field: name, hint: "Omit the field." },
  );
}

function managed(entity: Entity, name: string): PylonError {
  return new PylonError(
    "READONLY_FIELD",
    `Only sign-up, sign-in and server functions can write ${entity.name}.${name}.`,
    {
      field: name,
      hint: name === "email" ? "Use /api/auth/email/change/request." : "Omit the field.",
    },
  );
}

/** @throws PylonError INVALID_DATA */
export function asObject(entity: Entity, data: unknown): Record<string, unknown> {
  if (isRecord(data)) return data;
  throw new PylonError("INVALID_DATA", `The data of a ${entity.name} must be an object.`, {
    hint: `Send {"field": value, ...}.`,
  });
}

/**
 * @param known the fields that the caller may use
 * @throws PylonError INVALID_COLUMN
 */
export function refuseUnknown(
  entity: Entity,
  given: Record<string, unknown>,
  known: Pick<ReadonlySet<string>, "has"> = entity.fields,
): void {
  for (const name of Object.keys(given)) {
    if (entity.fields.has(name) && known.has(name)) continue;
    const shown = [...entity.fields.keys()].filter((field) => known.has(field));
    const meant = nearest(name, shown);
    throw new PylonError("INVALID_COLUMN", `${entity.name} has no field "${name.slice(0, 80)}".`, {
      field: name,
      hint: meant === undefined ? `Its fields: ${shown.join(", ")}.` : `Did you mean "${meant}"?`,
    });
  }
}

function absent(entity: Entity, field: Field, { now, uuid }: Generators): Value {
  if (field.defaultsToNow) return new Date(now).toISOString();
  if (field.defaultsToUuid) return uuid();
  if (field.default !== undefined) return field.default;
  if (field.optional || field.owner) return null;
  throw new PylonError("MISSING_FIELD", `${entity.name}.${field.name} is required.`, {
    field: field.name,
    hint: `Send a ${field.kind}, or make the field optional.`,
  });
}

function nullFor(entity: Entity, field: Field): null {
  if (field.optional || field.owner) return null;
  throw new PylonError("INVALID_DATA", `${entity.name}.${field.name} can't be null.`, {
    field: field.name,
    hint: `Send a ${field.kind}, or make the field optional.`,
  });
}

/**
 * Returns the value as its field stores it.
 *
 * @throws PylonError INVALID_DATA
 */
export function checkValue(entity: Entity, field: Field, value: unknown): Value {
  const normal = field.read(value);
  if (!normal.ok) {
    const hint = normal.hint ?? (isRecord(value) ? fieldOperatorHint(field.kind) : undefined);
    throw new PylonError("INVALID_DATA", `${entity.name}.${field.name} ${normal.reason}.`, {
      field: field.name,
      ...(hint === undefined ? {} : { hint }),
    });
  }
  if (typeof normal.value === "string") checkIndexedText(entity, field, normal.value);
  return normal.value;
}

/** @throws PylonError INVALID_DATA for a text that is too long for the field's index */
function checkIndexedText(entity: Entity, field: Field, text: string): void {
  if (
    field.maxTextBytes === Infinity ||
    new TextEncoder().encode(text).length <= field.maxTextBytes
  )
    return;
  const label = `${entity.name}.${field.name}`;
  throw new PylonError(
    "INVALID_DATA",
    `${label} is in an index, so it may have at most ${field.maxTextBytes} bytes.`,
    {
      field: field.name,
      hint: "Shorten it, or remove the field from the index.",
    },
  );
}
