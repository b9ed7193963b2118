import { isNestedKind, WANTED } from "@pylonsync/query";
import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { didYouMean } from "./check-names.ts";
import { NAME } from "./check-old-names.ts";
import { checkValueRules } from "./check-value-rules.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { FIELD_TYPES, kindOf, targetOf } from "./field-kind.ts";
import { readValueOf } from "./field-value.ts";
import { isGenerated } from "./generated-default.ts";
import { isSameValue } from "./nested-value.ts";

const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]+\/(\*|[a-z0-9!#$&^_.+-]+)$/;

/** Postgres rejects columns with these names, even if they are quoted. */
const POSTGRES_COLUMNS = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);

/** Checks a field of an entity: its name, type, default and reference. */
export function* checkField(
  entity: ManifestEntity,
  field: ManifestField,
  manifest: Manifest,
  at: string,
): Generator<Diagnostic> {
  const label = `${entity.name}.${field.name}`;
  yield* checkFieldName(entity, field, at);
  if (!(yield* checkFieldType(field, manifest, label, at))) return;
  const kind = kindOf(field.type);
  let isRuled = true;
  for (const problem of checkValueRules(field, label, at)) {
    isRuled = false;
    yield problem;
  }
  if (isRuled) yield* checkDefault(field, label, at);
  if (field.owner === true && kind !== "string" && kind !== "id") {
    yield errorAt(
      "FIELD_OWNER_INVALID",
      `${label} is the owner's id, so it must be a string or an id.`,
      `${at}.owner`,
    );
  }
  yield* checkReference(field, label, at);
  yield* checkFileField(field, label, at);
}

function* checkReference(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  if (field.on_delete === undefined) return;
  const wrong = (message: string, hint?: string): Diagnostic =>
    errorAt("FIELD_REFERENCE_INVALID", message, `${at}.on_delete`, hint);
  if (targetOf(field.type) === undefined)
    yield wrong(`${label} is a ${field.type}, but only an id supports onDelete.`);
  if (field.on_delete === "setNull" && !field.optional)
    yield wrong(
      `${label} is required, so it can't become null when the referenced row is deleted.`,
      'Make it .optional(), or use "restrict" or "cascade".',
    );
}

function* checkFieldName(
  entity: ManifestEntity,
  field: ManifestField,
  at: string,
): Generator<Diagnostic> {
  const label = `${entity.name}.${field.name}`;
  if (field.name.toLowerCase() === "id")
    yield errorAt(
      "FIELD_NAME_RESERVED",
      field.name === "id"
        ? `${entity.name} declares the field "id", which every row already has.`
        : `${label} differs only in case from "id", which every row has.`,
      `${at}.name`,
      field.name === "id" ? "Remove it." : "Choose another name.",
    );
  else if (POSTGRES_COLUMNS.has(field.name))
    yield errorAt(
      "FIELD_NAME_RESERVED",
      `${label} has the name of a system column of Postgres.`,
      `${at}.name`,
      "Choose another name.",
    );
  else if (field.name !== "" && !NAME.test(field.name)) {
    yield errorAt(
      "FIELD_NAME_INVALID",
      `"${field.name}" is not a valid name for a field.`,
      `${at}.name`,
      "Use at most 63 letters, digits and _, starting with a letter.",
    );
  }
}

/** @returns whether the type is known: the rest can't be checked without it */
function* checkFieldType(
  field: ManifestField,
  manifest: Manifest,
  label: string,
  at: string,
): Generator<Diagnostic, boolean> {
  const target = targetOf(field.type);
  if (target !== undefined) {
    if (!manifest.entities.some(({ name }) => name === target)) {
      yield errorAt(
        "FIELD_ID_TARGET_NOT_FOUND",
        `${label} refers to the entity "${target}", which does not exist.`,
        `${at}.type`,
        didYouMean(
          target,
          manifest.entities.map(({ name }) => name),
        ),
      );
    }
  } else if (!FIELD_TYPES.includes(field.type)) {
    yield errorAt(
      "FIELD_TYPE_UNKNOWN",
      `${label} has the unknown type "${field.type}".`,
      `${at}.type`,
      `Known: ${FIELD_TYPES.join(", ")}, id(Entity).`,
    );
    return false;
  }
  return true;
}

function* checkFileField(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  const { type, accept, max_bytes: maxBytes } = field;
  if (type !== "file") {
    if (accept !== undefined || (maxBytes !== undefined && field.format !== "bytes"))
      yield errorAt(
        "FIELD_FILE_INVALID",
        `${label} is not a file field, but has rules for files.`,
        at,
        "Remove accept and max_bytes.",
      );
    return;
  }
  const wrong = accept?.find((entry) => !MEDIA_TYPE.test(entry));
  if (wrong !== undefined)
    yield errorAt(
      "FIELD_FILE_INVALID",
      `${label} accepts "${wrong}", which is not a valid media type.`,
      `${at}.accept`,
      'Use a type such as "image/png" or "image/*".',
    );
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes > 0))
    yield errorAt(
      "FIELD_FILE_INVALID",
      `The maximum size of ${label} must be a whole number of bytes.`,
      `${at}.max_bytes`,
    );
  if (field.owner === true)
    yield errorAt(
      "FIELD_OWNER_INVALID",
      `${label} is a file field, so it can't be the owner's id.`,
      `${at}.owner`,
    );
  if (field.default !== undefined)
    yield errorAt(
      "FIELD_DEFAULT_INVALID",
      `${label} is a file field, so it can't have a default: a file belongs to only one row.`,
      `${at}.default`,
    );
}

/** Checks that the default is a valid value of its field. */
function* checkDefault(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  if (field.default === undefined || field.type === "file" || isGenerated(field)) return;
  const kind = kindOf(field.type);
  const normal = readValueOf(field)(field.default);
  const isNested = isNestedKind(kind);
  // The column's default is the declared value, which is not normalized.
  if (normal.ok && isNested && !isSameValue(normal.value, field.default))
    yield errorAt(
      "FIELD_DEFAULT_INVALID",
      `The default of ${label} is not in the format in which values are stored.`,
      `${at}.default`,
      'Write dates as "2026-01-31T12:00:00.000Z".',
    );
  if (normal.ok) return;
  yield errorAt(
    "FIELD_DEFAULT_INVALID",
    `The default of ${label} ${normal.reason}.`,
    `${at}.default`,
    kind === "datetime"
      ? 'Write .default("2026-01-31T12:00:00Z"), or .default("now") for the time of the write.'
      : (normal.hint ?? `Pass ${WANTED[kind]} to .default(), or remove it.`),
  );
}
