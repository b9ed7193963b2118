import { isRowId, PylonError } from "@pylonsync/protocol";
import { describeValue, nearest } from "@pylonsync/query";
import type { Value } from "./row.ts";
import { isRecord } from "../util/is-record.ts";
import type { Entity, Field } from "./schema.ts";

/**
 * Checks the id that a caller names a row by.
 *
 * @returns undefined when there is none
 * @throws PylonError INVALID_ID
 */
export function checkedId(id: unknown, field = "id"): string | undefined {
  if (id === undefined || isRowId(id)) return id;
  const shown = typeof id === "string" ? JSON.stringify(id.slice(0, 80)) : describeValue(id);
  throw new PylonError("INVALID_ID", `${shown} can't be the id of a row.`, {
    field,
    hint: "Use 1 to 64 characters of A-Z a-z 0-9 _ -. To insert a row, you can leave it out.",
  });
}

/**
 * Clients send the row that they have, with its id: that is no field of the patch.
 *
 * @returns the data without the id
 * @throws PylonError READONLY_FIELD when it names another row
 */
export function withoutId(data: unknown, id: string): unknown {
  if (!isRecord(data) || !Object.hasOwn(data, "id")) return data;
  const { id: named, ...fields } = data;
  if (named === undefined || named === id) return fields;
  throw new PylonError("READONLY_FIELD", "The id of a row does not change.", {
    field: "id",
    hint: "Leave it out, or insert a new row and delete this one.",
  });
}

/**
 * Parts the data of an insert from the id that it may name. What is no object is handed on as it
 * is, for the check to refuse.
 */
export function splitId(data: unknown): { readonly id: unknown; readonly fields: unknown } {
  if (!isRecord(data)) return { id: undefined, fields: data };
  const { id, ...fields } = data;
  return { id, fields };
}

/** What defaults that are made at the insert are made of. */
export interface Generators {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly uuid: () => string;
}

/**
 * Checks the data of an insert.
 *
 * @param generators what the defaults `now` and `uuid` stand for
 * @returns every declared field: its value, its default, or null. An owner field may be null: the
 *   caller's id is stamped later.
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
  for (const field of entity.fields.values()) {
    const value = Object.hasOwn(given, field.name) ? given[field.name] : undefined;
    if (value === undefined) row[field.name] = absent(entity, field, generators);
    else
      row[field.name] = value === null ? nullFor(entity, field) : checkValue(entity, field, value);
  }
  return row;
}

/**
 * Checks the data of an update.
 *
 * @param options.admin fields that are fixed after the insert, and those that sign-up manages, may
 *   be changed
 * @param options.stamps fields that the server stamps may be changed
 * @returns the named fields
 * @throws PylonError INVALID_DATA, INVALID_COLUMN, READONLY_FIELD with the `field`
 */
export function checkPatch(
  entity: Entity,
  data: unknown,
  options: { readonly admin: boolean; readonly stamps: boolean },
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
        `${entity.name}.${name} is set when the row is made, and does not change.`,
        { field: name, hint: "Leave it out." },
      );
    }
    if (field.managed && !options.admin) throw managed(entity, name);
    if (field.timestamp !== undefined && !options.stamps) throw stamped(entity, name);
    patch[name] = value === null ? nullFor(entity, field) : checkValue(entity, field, value);
  }
  return patch;
}

/**
 * @throws PylonError READONLY_FIELD when the data of an insert names a field that only sign-up and
 *   server functions write
 */
export function refuseManaged(entity: Entity, data: unknown): void {
  for (const [name, value] of Object.entries(asObject(entity, data))) {
    if (entity.fields.get(name)?.managed === true && value !== null && value !== undefined)
      throw managed(entity, name);
  }
}

/**
 * @throws PylonError READONLY_FIELD when the data of an insert names a field that the server stamps
 */
export function refuseStamps(entity: Entity, data: unknown): void {
  for (const [name, value] of Object.entries(asObject(entity, data))) {
    if (value !== undefined && entity.fields.get(name)?.timestamp !== undefined)
      throw stamped(entity, name);
  }
}

function stamped(entity: Entity, name: string): PylonError {
  return new PylonError("READONLY_FIELD", `${entity.name}.${name} is written by the server.`, {
    field: name,
    hint: "Leave it out.",
  });
}

function managed(entity: Entity, name: string): PylonError {
  return new PylonError(
    "READONLY_FIELD",
    `${entity.name}.${name} is written by sign-up, sign-in and server functions only.`,
    {
      field: name,
      hint: name === "email" ? "Use /api/auth/email/change/request." : "Leave it out.",
    },
  );
}

/** @throws PylonError INVALID_DATA */
export function asObject(entity: Entity, data: unknown): Record<string, unknown> {
  if (isRecord(data)) return data;
  throw new PylonError("INVALID_DATA", `The data of a ${entity.name} is an object.`, {
    hint: `Send {"field": value, ...}.`,
  });
}

function refuseUnknown(entity: Entity, given: Record<string, unknown>): void {
  for (const name of Object.keys(given)) {
    if (entity.fields.has(name)) continue;
    const meant = nearest(name, entity.fields.keys());
    throw new PylonError("INVALID_COLUMN", `${entity.name} has no field "${name.slice(0, 80)}".`, {
      field: name,
      hint:
        meant === undefined
          ? `Its fields: ${[...entity.fields.keys()].join(", ")}.`
          : `Did you mean "${meant}"?`,
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

function checkValue(entity: Entity, field: Field, value: unknown): Value {
  const normal = field.read(value);
  if (!normal.ok)
    throw new PylonError("INVALID_DATA", `${entity.name}.${field.name} ${normal.reason}.`, {
      field: field.name,
      ...(normal.hint === undefined ? {} : { hint: normal.hint }),
    });
  if (typeof normal.value === "string") checkIndexedText(entity, field, normal.value);
  return normal.value;
}

/** @throws PylonError INVALID_DATA for a text that does not fit into the field's index */
function checkIndexedText(entity: Entity, field: Field, text: string): void {
  if (
    field.maxTextBytes === Infinity ||
    new TextEncoder().encode(text).length <= field.maxTextBytes
  )
    return;
  const label = `${entity.name}.${field.name}`;
  throw new PylonError(
    "INVALID_DATA",
    `${label} is in an index, so it may have ${field.maxTextBytes} bytes at most.`,
    {
      field: field.name,
      hint: "Shorten it, or take the field out of the index.",
    },
  );
}
