import {
  fieldCodeOf,
  withFieldCode,
  type FieldCode,
  type Manifest,
  type ManifestField,
} from "@pylonsync/sdk";
import { isRecord } from "../util/is-record.ts";
import { sha256 } from "../util/sha256.ts";
import { convertValue } from "./convert-value.ts";
import { kindOf } from "./field-kind.ts";
import { readValueOf } from "./field-value.ts";
import type { StoredRow, Value } from "./row.ts";

/** A value created in a migration, or the reason why there is none. */
export type Made =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

/**
 * Adds the functions that the fields have in the module to a manifest that was read from JSON.
 *
 * @param module the default export of app.ts; undefined if app.ts printed its manifest
 */
export function withFieldCodeOf(manifest: Manifest, module: unknown): Manifest {
  if (!isRecord(module) || !Array.isArray(module["entities"])) return manifest;
  const entities: Manifest["entities"] = module["entities"];
  const byName = new Map(
    entities.flatMap((entity) =>
      entity.fields.map((field) => [`${entity.name}.${field.name}`, fieldCodeOf(field)] as const),
    ),
  );
  const restored = (entity: string, field: ManifestField): ManifestField => {
    const code = byName.get(`${entity}.${field.name}`);
    return code === undefined ? field : withFieldCode(field, code);
  };
  return {
    ...manifest,
    entities: manifest.entities.map((entity) => ({
      ...entity,
      fields: entity.fields.map((field) => restored(entity.name, field)),
    })),
  };
}

/**
 * Returns an id of the code that computes a field, by which a change of the code is detected: it
 * depends on the code's text, and on the version that the app gives it.
 */
export function computedBy(field: ManifestField): string | undefined {
  const code = fieldCodeOf(field);
  if (code?.computed === undefined) return undefined;
  return sha256(`${code.computedVersion ?? 0} ${code.computed.toString()}`).slice(0, 16);
}

/**
 * Whether existing rows get individual values from the field's code. An optional field with a
 * default function remains empty, because the default may depend on the caller who inserts the row.
 */
export function isFilledByCode(field: ManifestField): boolean {
  const code = fieldCodeOf(field);
  return code?.backfill !== undefined || (code?.default !== undefined && field.optional !== true);
}

/** Converts a stored value to a field of another type: by the field's `convert`, if it has one. */
export function convertField(value: Value, from: ManifestField, to: ManifestField): Made {
  if (value === null) return { ok: true, value };
  const convert = fieldCodeOf(to)?.convert;
  if (convert !== undefined) return made(to, () => convert(value));
  const converted = convertValue(value, kindOf(from.type), kindOf(to.type));
  return converted === undefined
    ? { ok: false, reason: `is not a value of the type ${to.type}` }
    : { ok: true, value: converted };
}

/** The inputs of the defaults of existing rows. */
export interface FillContext {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly uuid: () => string;
}

/** The value of a field for a row without one: from its `backfill`, else from its default. */
export function backfillField(
  field: ManifestField,
  row: StoredRow,
  context: FillContext,
): Made | undefined {
  const code = fieldCodeOf(field);
  const make = code?.backfill ?? defaultFor(code, context);
  if (make === undefined) return undefined;
  const value = made(field, () => make(row));
  // A row with null would be selected for the backfill again without end.
  return value.ok && value.value === null ? { ok: false, reason: "is null" } : value;
}

/** The caller is anonymous, because existing rows are not being inserted. */
function defaultFor(
  code: FieldCode | undefined,
  context: FillContext,
): ((row: StoredRow) => unknown) | undefined {
  const make = code?.default;
  const auth = { userId: null, isAdmin: false, tenantId: null, roles: [] };
  if (make === undefined) return undefined;
  return (row) => {
    const { id: _, ...data } = row;
    return make({ ...context, auth, data });
  };
}

/** The value of a computed field for a row. */
export function computeField(field: ManifestField, row: StoredRow): Made {
  return made(field, () => fieldCodeOf(field)?.computed?.({ ...row }));
}

/**
 * Runs a function of a field.
 *
 * @param label the name of the value, as the beginning of a sentence
 * @throws Error if the function returns a promise
 */
export function callFieldCode(label: string, make: () => unknown): unknown {
  const value = make();
  if (!(value instanceof Promise)) return value;
  // The error below is reported instead of the promise's rejection.
  value.catch(() => undefined);
  throw new Error(
    `${label} is set by a function that returns a promise: the function must be synchronous.`,
  );
}

function made(field: ManifestField, make: () => unknown): Made {
  let value: unknown;
  try {
    value = callFieldCode(`The value of ${field.name}`, make);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: `can't be made: ${text.slice(0, 200)}` };
  }
  if (value === null || value === undefined)
    return field.optional ? { ok: true, value: null } : { ok: false, reason: "is null" };
  const normal = readValueOf(field)(value);
  return normal.ok ? normal : { ok: false, reason: normal.reason };
}
