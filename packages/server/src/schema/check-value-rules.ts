import { MAX_ENUM_VALUES, MAX_FIELD_BYTES } from "@pylonsync/protocol";
import { normaliseValue } from "@pylonsync/query";
import type { ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { defaultsToNow } from "./mend-dates.ts";

const TEXTS = new Set(["string", "richtext"]);
const NUMBERS = new Set(["int", "float"]);

/**
 * What a field asks of its values beyond their kind: rules that fit its kind and each other.
 *
 * @param label the field as its author calls it: `Todo.title`
 */
export function* checkValueRules(
  field: ManifestField,
  label: string,
  at: string,
): Generator<Diagnostic> {
  yield* checkEnum(field, label, at);
  yield* checkLimits(field, label, at);
  yield* checkPattern(field, label, at);
  yield* checkFormat(field, label, at);
  if (field.timestamp !== undefined && (!defaultsToNow(field) || field.optional))
    yield errorAt(
      "FIELD_TIMESTAMP_INVALID",
      `${label} is stamped by the server, so it is a required datetime with the default "now".`,
      `${at}.timestamp`,
    );
}

/** A search would tell of a value that nobody may see. */
export function* checkHiddenFields(entity: ManifestEntity, at: string): Generator<Diagnostic> {
  const { text = [], facets = [], sortable = [] } = entity.search ?? {};
  const searched = new Set([...text, ...facets, ...sortable]);
  for (const { name, hidden } of entity.fields) {
    if (hidden === true && searched.has(name))
      yield errorAt(
        "FIELD_HIDDEN_SEARCHED",
        `${entity.name}.${name} is hidden, and the search of ${entity.name} would tell of it.`,
        `${at}.search`,
        "Take it out of the search, or let callers see it.",
      );
  }
}

function* checkEnum(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  const { enum: values, type } = field;
  if (values === undefined) return;
  const wrong = (message: string, hint?: string): Diagnostic =>
    errorAt("FIELD_ENUM_INVALID", message, `${at}.enum`, hint);
  if (type !== "string") yield wrong(`${label} is a ${type}, and only a string has an enum.`);
  if (values.length === 0 || values.length > MAX_ENUM_VALUES)
    yield wrong(
      `${label} has ${values.length} values, and an enum has 1 to ${MAX_ENUM_VALUES}.`,
      "Make an entity of its own for more.",
    );
  const twice = values.find((value, index) => values.indexOf(value) !== index);
  if (twice !== undefined) yield wrong(`${label} has the value "${twice.slice(0, 80)}" twice.`);
  for (const value of values) {
    const normal = normaliseValue("string", value);
    if (!normal.ok) yield wrong(`A value of ${label} ${normal.reason}.`);
  }
}

function* checkLimits(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  const { type, min, max } = field;
  if (min === undefined && max === undefined) return;
  const wrong = (message: string): Diagnostic => errorAt("FIELD_LIMIT_INVALID", message, at);
  if (!TEXTS.has(type) && !NUMBERS.has(type)) {
    yield wrong(`${label} is a ${type}, and min and max are for texts and numbers.`);
    return;
  }
  const isCount = (limit: number): boolean => Number.isSafeInteger(limit) && limit >= 0;
  for (const limit of [min, max]) {
    if (limit !== undefined && TEXTS.has(type) && !isCount(limit))
      yield wrong(`${label} counts its characters, and ${limit} is not a count.`);
  }
  if (min !== undefined && max !== undefined && min > max)
    yield wrong(`${label} has a min of ${min} above its max of ${max}, so no value would do.`);
}

function* checkPattern(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  const { type, pattern, pattern_flags: flags } = field;
  if (pattern === undefined) return;
  if (!TEXTS.has(type))
    yield errorAt(
      "FIELD_PATTERN_INVALID",
      `${label} is a ${type}, and only a text has a pattern.`,
      `${at}.pattern`,
    );
  if (!isExpression(pattern, flags))
    yield errorAt(
      "FIELD_PATTERN_INVALID",
      `The pattern of ${label} is not a regular expression.`,
      `${at}.pattern`,
      'Write the source alone, such as "^[a-z]+$".',
    );
}

function isExpression(source: string, flags: string | undefined): boolean {
  try {
    return new RegExp(source, flags) instanceof RegExp;
  } catch {
    return false;
  }
}

function* checkFormat(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  const { type, format, max_bytes: maxBytes } = field;
  if (format === undefined) return;
  if (type !== "string" || field.enum !== undefined)
    yield errorAt(
      "FIELD_FORMAT_INVALID",
      `${label} has a format, which only a string without an enum has.`,
      `${at}.format`,
    );
  const isSize = (size: number): boolean =>
    Number.isSafeInteger(size) && size > 0 && size <= MAX_FIELD_BYTES;
  if (format === "bytes" && maxBytes !== undefined && !isSize(maxBytes))
    yield errorAt(
      "FIELD_FORMAT_INVALID",
      `The largest size of ${label} is a whole number of bytes from 1 to ${MAX_FIELD_BYTES}.`,
      `${at}.max_bytes`,
      "Keep larger content in a file: see docs/files.md.",
    );
}
