import type { Manifest, ManifestEntity } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import type { StoredRow, Value } from "./row.ts";

/** What the stored form of an encrypted value begins with. */
export const SEALED = "enc:";

/** Encrypts the values of encrypted fields for the store. */
export interface ValueCipher {
  /**
   * @param owner what the value belongs to: it can be decrypted only for the same
   * @throws PylonError ENCRYPTION_NOT_CONFIGURED
   */
  seal(text: string, owner: string): string;
  /**
   * @returns null if the value was encrypted with another key, for another owner, or was changed
   */
  open(sealed: string, owner: string): string | null;
}

/** Converts rows between the form in which they are used and the form in which they are stored. */
export interface RowSealing {
  /** Returns the row, or a part of it, as it is stored; a row that is in this form is returned. */
  readonly sealed: <F extends Fields>(id: string, fields: F) => F;
  /** Returns a stored row as functions, hooks and callers see it. */
  readonly opened: (row: StoredRow) => StoredRow;
}

type Fields = Readonly<Record<string, Value>>;

/** Whether a value is in its stored form. */
export function isSealed(value: unknown): value is string {
  return typeof value === "string" && value.startsWith(SEALED);
}

const UNSEALED: RowSealing = { sealed: (_, fields) => fields, opened: (row) => row };

/**
 * Creates the conversions for an entity.
 *
 * @param names its encrypted fields
 * @param cipher null where rows are neither read nor written: stored rows stay as they are
 */
export function sealingOf(names: readonly string[], cipher: ValueCipher | null): RowSealing {
  if (names.length === 0 || cipher === null) return UNSEALED;
  const convert = <F extends Fields>(fields: F, change: (value: Value) => Value): F => {
    const changed = names.flatMap((name) => {
      const value = fields[name];
      if (value === undefined) return [];
      const next = change(value);
      return next === value ? [] : [[name, next] as const];
    });
    return changed.length === 0 ? fields : { ...fields, ...Object.fromEntries(changed) };
  };
  return {
    sealed: (id, fields) =>
      convert(fields, (value) =>
        typeof value === "string" && !isSealed(value) ? SEALED + cipher.seal(value, id) : value,
      ),
    opened: (row) =>
      convert(row, (value) =>
        isSealed(value) ? cipher.open(value.slice(SEALED.length), row.id) : value,
      ),
  };
}

/** The encrypted fields of an entity, by name. */
export function encryptedFieldsOf({ fields }: Pick<ManifestEntity, "fields">): string[] {
  return fields.filter(({ type }) => type === "encrypted").map(({ name }) => name);
}

/**
 * Reports uses of encrypted fields for which the store would need the plain text: a migration has
 * no key, so it can't write such values.
 */
export function* checkEncryptedFields(
  entity: ManifestEntity,
  { entities }: Pick<Manifest, "entities">,
  at: string,
): Generator<Diagnostic> {
  const keys = new Set(
    entities.flatMap((owner) =>
      (owner.relations ?? []).flatMap(({ target, field, many, through, targetField }) => {
        if (through !== undefined) return through === entity.name ? [field, targetField] : [];
        return (many === true ? target : owner.name) === entity.name ? [field] : [];
      }),
    ),
  );
  for (const [index, field] of entity.fields.entries()) {
    if (field.type !== "encrypted") continue;
    const uses: readonly (readonly [boolean, string])[] = [
      [field.unique, "be unique"],
      [field.owner === true, "be the owner's id"],
      [field.default !== undefined || field.default_by_code === true, "have a default"],
      [field.computed === true, "be computed"],
      [keys.has(field.name), "connect a relation"],
      [field.crdt !== undefined, "be merged"],
    ];
    for (const [isUsed, what] of uses)
      if (isUsed)
        yield errorAt(
          "FIELD_ENCRYPTED_INVALID",
          `${entity.name}.${field.name} is encrypted, so it can't ${what}.`,
          `${at}.fields[${index}]`,
          "Remove one of the two.",
        );
  }
}
