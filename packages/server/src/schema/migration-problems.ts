import {
  fieldCodeOf,
  type ManifestEntity,
  type ManifestField,
  type ManifestIndex,
} from "@pylonsync/sdk";
import type { DuplicateValues, LongTexts, LostValues, Orphans } from "./data-facts.ts";
import { countOf, showValue } from "./describe-step.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";

/** The warning about references to rows that do not exist. */
export function orphansOf(reference: string, { target, rows, example }: Orphans): Diagnostic {
  return {
    severity: "warning",
    code: "SCHEMA_ORPHANS",
    message:
      `${reference} refers to a ${target} that does not exist in ${rows} ` +
      `${rows === 1 ? "row" : "rows"}, such as the row "${example}".`,
    path: reference,
    hint: "These rows are not changed. Delete them, or set the field to another value.",
  };
}

/** The error for a required field without values for the existing rows. */
export function needsDefault(name: string, why: string): Diagnostic {
  return errorAt(
    "SCHEMA_FIELD_NEEDS_DEFAULT",
    `${name} ${why}.`,
    name,
    "Make it .optional(), or give it a .default(value) or a .backfill((row) => value).",
  );
}

/** The error for a name that differs from an existing one only in case. */
export function differsInCase(name: string, known: string, what: "entity" | "field"): Diagnostic {
  return errorAt(
    "SCHEMA_NAME_DIFFERS_IN_CASE",
    `The database has the ${what} ${known}, and ${name} differs from it only in case.`,
    name,
    `Keep the name ${known}, or add renamedFrom("${known.split(".").at(-1) ?? known}").`,
  );
}

/** The error for rows with the same values in a new unique index. */
export function notUnique(
  entity: ManifestEntity,
  index: ManifestIndex,
  groups: readonly DuplicateValues[],
): Diagnostic {
  const fields = index.fields.map((name) => `${entity.name}.${name}`).join(", ");
  const shown = groups.map(
    ({ values, rows }) => `${values.map(showValue).join(", ")} in ${rows} rows`,
  );
  const are = index.fields.length === 1 ? "is" : "are together";
  return errorAt(
    "SCHEMA_VALUES_NOT_UNIQUE",
    `${fields} ${are} declared unique, but rows have the same value: ${shown.join("; ")}.`,
    fields,
    "Change the values so that they differ, or remove the unique index.",
  );
}

/** The error for values that can't be converted to the new type of their field. */
export function notConvertible(name: string, field: ManifestField, lost: LostValues): Diagnostic {
  const samples = lost.samples.map(showValue).join(", ");
  const { id, reason } = lost.example;
  const isConverted = fieldCodeOf(field)?.convert !== undefined;
  return errorAt(
    "SCHEMA_VALUES_NOT_CONVERTIBLE",
    `${name} becomes ${field.type}, but ${countOf(lost)} can't be converted, such as ${samples}` +
      (isConverted ? `. Of the row "${id}" the new value ${reason}.` : `, of the row "${id}".`),
    name,
    isConverted
      ? "Change these values first, or have .convert() return a value for them."
      : "Change these values first, make the field .optional(), so that they become null, or " +
          "add a .convert((old) => value).",
  );
}

/** The error for a field that becomes encrypted, or is no longer encrypted. */
export function encryptionChanged(
  name: string,
  from: ManifestField,
  to: ManifestField,
): Diagnostic {
  return errorAt(
    "SCHEMA_ENCRYPTION_CHANGED",
    `${name} changes from ${from.type} to ${to.type}, but a migration can't encrypt or decrypt.`,
    name,
    "Add another field, copy the values in a data migration, and remove this one later.",
  );
}

/** The error for texts that are too long for a new index. */
export function tooLong(name: string, { rows, maxBytes, example }: LongTexts): Diagnostic {
  return errorAt(
    "SCHEMA_VALUES_TOO_LONG",
    `${name} is added to an index, which allows at most ${maxBytes} bytes, but ${rows} ` +
      `${rows === 1 ? "row has" : "rows have"} a longer one, such as the row "${example}".`,
    name,
    "Shorten the values, or remove the field from the index.",
  );
}
