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

/** A value that was made in a migration, or why there is none. */
export type Made =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

/**
 * A manifest that came through JSON, with the functions that its fields have in the module.
 *
 * @param module the default export of app.ts; undefined where it was printed
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
 * Tells the code that computes a field from what it was before: by its text, and by the version
 * that the app gives it.
 */
export function computedBy(field: ManifestField): string | undefined {
  const code = fieldCodeOf(field);
  if (code?.computed === undefined) return undefined;
  return sha256(`${code.computedVersion ?? 0} ${code.computed.toString()}`).slice(0, 16);
}

/**
 * Whether rows that are there get a value by the field's code, one for each. An optional field
 * stays empty where its default is made of who inserts the row.
 */
export function isFilledByCode(field: ManifestField): boolean {
  const code = fieldCodeOf(field);
  return code?.backfill !== undefined || (code?.default !== undefined && field.optional !== true);
}

/** A stored value as a field of another type is to hold it: by its `convert`, where it has one. */
export function convertField(value: Value, from: ManifestField, to: ManifestField): Made {
  if (value === null) return { ok: true, value };
  const convert = fieldCodeOf(to)?.convert;
  if (convert !== undefined) return made(to, () => convert(value));
  const converted = convertValue(value, kindOf(from.type), kindOf(to.type));
  return converted === undefined
    ? { ok: false, reason: `is not a value of the type ${to.type}` }
    : { ok: true, value: converted };
}

/** What defaults of rows that are there are made of. */
export interface FillContext {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly uuid: () => string;
}

/** The value of a field for a row that has none: by its `backfill`, else by its default. */
export function backfillField(
  field: ManifestField,
  row: StoredRow,
  context: FillContext,
): Made | undefined {
  const code = fieldCodeOf(field);
  const make = code?.backfill ?? defaultFor(code, context);
  if (make === undefined) return undefined;
  const value = made(field, () => make(row));
  // It would be looked for again without end.
  return value.ok && value.value === null ? { ok: false, reason: "is null" } : value;
}

/** Nobody inserts the row. */
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
 * @param label what the function makes, to begin a sentence
 * @throws Error for one that waits
 */
export function callFieldCode(label: string, make: () => unknown): unknown {
  const value = make();
  if (!(value instanceof Promise)) return value;
  // Its failure is told by the sentence alone.
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
