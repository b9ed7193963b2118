import type { Json, ManifestField } from "./manifest.ts";
import { isObject } from "./mistake.ts";

/** A row as stored in the database, with the field names of the app. */
export type StoredFields = { readonly id: string } & Readonly<Record<string, Json>>;

/** The context passed to a default function. */
export interface DefaultContext {
  /** The user who inserts the row; all null when a migration fills in an existing row. */
  readonly auth: {
    readonly userId: string | null;
    readonly isAdmin: boolean;
    readonly tenantId: string | null;
    readonly roles: readonly string[];
  };
  /** Milliseconds since 1970; constant within the transaction. */
  readonly now: number;
  /** Generates a UUID. */
  readonly uuid: () => string;
  /** The values so far: those of the insert, and defaults of fields that are declared earlier. */
  readonly data: Readonly<Record<string, Json>>;
}

/** The functions of a field, which JSON can't represent: how the server computes its values. */
export interface FieldCode {
  /** Converts a stored value to the field's new type. */
  readonly convert?: (value: Exclude<Json, null>) => unknown;
  /** Computes the field's value for an existing row without one. */
  readonly backfill?: (row: StoredFields) => unknown;
  /** Computes the field's value for an insert that omits the field. */
  readonly default?: (context: DefaultContext) => unknown;
  /** Computes the field's value from the other fields of its row, at each write. */
  readonly computed?: (row: StoredFields) => unknown;
  /** Changing it recomputes the values of all rows. */
  readonly computedVersion?: number | undefined;
}

/**
 * Functions can't be represented in JSON. They are attached under a global symbol, so that another
 * copy of this package can read them.
 */
const FIELD_CODE = Symbol.for("pylon.field-code");

/**
 * Attaches functions to a field. Copies of the object keep them; JSON omits them.
 *
 * @example
 * const slug = withFieldCode(field.string().toManifest("slug"), {
 *   backfill: (row) => row["title"],
 * });
 */
export function withFieldCode<F extends ManifestField>(field: F, code: FieldCode): F {
  return Object.assign({ ...field }, { [FIELD_CODE]: code });
}

/**
 * Returns the functions of a field.
 *
 * @param field a field of the value that `buildManifest` returned, or a copy of it; a field parsed
 *   from JSON has none
 *
 * @example
 * const make = fieldCodeOf(field.int().convert(Number).toManifest("cents"))?.convert;
 */
export function fieldCodeOf(field: object): FieldCode | undefined {
  if (!(FIELD_CODE in field)) return undefined;
  const code = field[FIELD_CODE];
  return isObject(code) ? code : undefined;
}
