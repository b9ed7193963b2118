import { MAX_ARRAY_ITEMS, MAX_ENUM_VALUES, MAX_FIELD_BYTES } from "@pylonsync/protocol";
import {
  MAX_DECIMAL_SCALE,
  MAX_DECIMAL_WHOLE,
  normaliseDecimal,
  normaliseValue,
} from "@pylonsync/query";
import type { ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import type { ManifestRules } from "./field-value.ts";
import { defaultsToNow } from "./datetime-defaults.ts";
import { isValueSchema } from "./value-schema.ts";

const TEXTS = new Set(["string", "richtext", "encrypted"]);
const NUMBERS = new Set(["int", "float", "decimal"]);
const NESTED = new Set(["json", "array"]);
const UNORDERED = new Set([...NESTED, "encrypted"]);
const ITEMS = new Set(["string", "int", "float", "bool", "datetime"]);

/**
 * Checks that a field's rules for its values, beyond their kind, fit its kind and each other.
 *
 * @param label the name of the field in messages: `Todo.title`
 */
export function* checkValueRules(
  field: ManifestField,
  label: string,
  at: string,
): Generator<Diagnostic> {
  yield* checkRules(field, label, at);
  yield* checkNested(field, label, at);
  if (field.timestamp !== undefined && (!defaultsToNow(field) || field.optional))
    yield errorAt(
      "FIELD_TIMESTAMP_INVALID",
      `${label} is set by the server, so it must be a required datetime with the default "now".`,
      `${at}.timestamp`,
    );
  yield* checkComputed(field, label, at);
}

/** A computed field is never written by a caller, so settings for writes do not apply to it. */
function* checkComputed(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  if (field.computed !== true) return;
  const others: readonly (readonly [boolean, string])[] = [
    [field.default !== undefined || field.default_by_code === true, "a default"],
    [field.owner === true, "the caller's id"],
    [field.timestamp !== undefined, "a stamp"],
    [field.crdt !== undefined, "merged"],
    [field.on_delete !== undefined, "a checked reference"],
    [field.type === "file", "a file"],
  ];
  for (const [is, what] of others) {
    if (is)
      yield errorAt(
        "FIELD_COMPUTED_INVALID",
        `${label} is computed from the other fields of its row, so it can't be ${what} as well.`,
        `${at}.computed`,
        "Remove one of the two.",
      );
  }
}

function* checkRules(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
  yield* checkEnum(field, label, at);
  yield* checkLimits(field, label, at);
  yield* checkPattern(field, label, at);
  yield* checkFormat(field, label, at);
  yield* checkDigits(field, label, at);
}

/** Checks the contents of a json or an array, and reports what these types do not support. */
function* checkNested(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  const { type, items, schema } = field;
  const wrong = (message: string, part: string, hint?: string): Diagnostic =>
    errorAt("FIELD_NESTED_INVALID", message, `${at}${part}`, hint);
  if (NESTED.has(type) && (field.unique || field.owner === true))
    yield wrong(
      `${label} is ${type === "json" ? "a json" : "an array"}, which can't be ordered.`,
      "",
    );
  if (type === "array" ? items === undefined : items !== undefined)
    yield wrong(`${label} is a ${type}, but only an array has items.`, ".items");
  else if (items !== undefined && !ITEMS.has(items.type))
    yield wrong(
      `The items of ${label} have the type ${items.type}, which arrays do not support.`,
      ".items.type",
      `Use ${[...ITEMS].join(", ")}, or a json field.`,
    );
  else if (items !== undefined) yield* checkRules(items, `Each item of ${label}`, `${at}.items`);
  if (schema !== undefined && (type !== "json" || !isValueSchema(schema)))
    yield wrong(
      type === "json"
        ? `The schema of ${label} is not a validator.`
        : `${label} is a ${type}, but only a json has a schema.`,
      ".schema",
      "Use field.json(v.object({ ... })), with v from @pylonsync/functions.",
    );
}

/** Values without an order can't be indexed. */
export function* checkNestedIndexes(entity: ManifestEntity, at: string): Generator<Diagnostic> {
  const unordered = new Set(
    entity.fields.filter(({ type }) => UNORDERED.has(type)).map(({ name }) => name),
  );
  for (const [index, { name, fields }] of entity.indexes.entries()) {
    const field = fields.find((one) => unordered.has(one));
    if (field !== undefined)
      yield errorAt(
        "INDEX_FIELD_INVALID",
        `The index "${name}" of ${entity.name} has the field ${field}, which can't be ordered.`,
        `${at}.indexes[${index}].fields`,
      );
  }
}

/**
 * Reports hidden fields in a search: it would reveal values that no caller may read.
 *
 * @param isHidden whether a field is hidden, in addition to the fields declared as hidden
 */
export function* checkHiddenFields(
  entity: ManifestEntity,
  isHidden: (field: string) => boolean,
  at: string,
): Generator<Diagnostic> {
  const { text = [], facets = [], sortable = [] } = entity.search ?? {};
  const searched = new Set([...text, ...facets, ...sortable]);
  for (const { name, hidden } of entity.fields) {
    if ((hidden === true || isHidden(name)) && searched.has(name))
      yield errorAt(
        "FIELD_HIDDEN_SEARCHED",
        `${entity.name}.${name} is hidden, but the search of ${entity.name} would reveal it.`,
        `${at}.search`,
        "Remove it from the search, or do not hide it.",
      );
  }
}

function* checkEnum(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
  const { enum: values, type } = field;
  if (values === undefined) return;
  const wrong = (message: string, hint?: string): Diagnostic =>
    errorAt("FIELD_ENUM_INVALID", message, `${at}.enum`, hint);
  if (type !== "string") yield wrong(`${label} is a ${type}, but only a string may have an enum.`);
  if (values.length === 0 || values.length > MAX_ENUM_VALUES)
    yield wrong(
      `${label} has ${values.length} values, but an enum must have 1 to ${MAX_ENUM_VALUES}.`,
      "Use a separate entity for more values.",
    );
  const twice = values.find((value, index) => values.indexOf(value) !== index);
  if (twice !== undefined) yield wrong(`${label} has the value "${twice.slice(0, 80)}" twice.`);
  for (const value of values) {
    const normal = normaliseValue("string", value);
    if (!normal.ok) yield wrong(`A value of ${label} ${normal.reason}.`);
  }
}

function* checkLimits(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
  const { type, min, max } = field;
  if (min === undefined && max === undefined) return;
  const wrong = (message: string): Diagnostic => errorAt("FIELD_LIMIT_INVALID", message, at);
  const counted = TEXTS.has(type) ? "characters" : type === "array" ? "items" : undefined;
  if (counted === undefined && !NUMBERS.has(type)) {
    yield wrong(
      `${label} is a ${type}, but only text, number and array fields support ` + "min and max.",
    );
    return;
  }
  const isCount = (limit: number): boolean => Number.isSafeInteger(limit) && limit >= 0;
  for (const limit of [min, max]) {
    if (limit !== undefined && counted !== undefined && !isCount(limit))
      yield wrong(`The limit of ${label} is a number of ${counted}, and ${limit} is not valid.`);
  }
  for (const limit of [min, max]) {
    if (type === "decimal" && limit !== undefined && normaliseDecimal(limit) === undefined)
      yield wrong(`${label} is a decimal, but its limit ${limit} is not.`);
  }
  if (type === "array" && (max ?? 0) > MAX_ARRAY_ITEMS)
    yield wrong(
      `${label} has a max of ${max}, but an array may have at most ${MAX_ARRAY_ITEMS} items.`,
    );
  if (min !== undefined && max !== undefined && min > max)
    yield wrong(`${label} has a min of ${min} above its max of ${max}, so no value is valid.`);
}

function* checkPattern(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
  const { type, pattern, pattern_flags: flags } = field;
  if (pattern === undefined) return;
  if (!TEXTS.has(type))
    yield errorAt(
      "FIELD_PATTERN_INVALID",
      `${label} is a ${type}, but only a text may have a pattern.`,
      `${at}.pattern`,
    );
  if (!isExpression(pattern, flags))
    yield errorAt(
      "FIELD_PATTERN_INVALID",
      `The pattern of ${label} is not a valid regular expression.`,
      `${at}.pattern`,
      'Write the source without slashes, such as "^[a-z]+$".',
    );
}

function isExpression(source: string, flags: string | undefined): boolean {
  try {
    return new RegExp(source, flags) instanceof RegExp;
  } catch {
    return false;
  }
}

function* checkDigits(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
  const { type, precision, scale } = field;
  const wrong = (message: string): Diagnostic =>
    errorAt("FIELD_DECIMAL_INVALID", message, at, "Write field.decimal(12, 2).");
  if (type !== "decimal") {
    if (precision !== undefined || scale !== undefined)
      yield wrong(`${label} is a ${type}, but only a decimal has a precision and a scale.`);
    return;
  }
  const isCount = (digits: number | undefined): digits is number =>
    digits !== undefined && Number.isSafeInteger(digits) && digits >= 0;
  if (!isCount(precision) || !isCount(scale) || precision === 0 || scale > precision) {
    yield wrong(
      `${label} must have a precision (all digits) and a scale (digits after the point).`,
    );
    return;
  }
  if (scale > MAX_DECIMAL_SCALE || precision - scale > MAX_DECIMAL_WHOLE)
    yield wrong(
      `${label} has ${precision - scale} digits before the point and ${scale} after it, ` +
        `but at most ${MAX_DECIMAL_WHOLE} and ${MAX_DECIMAL_SCALE} are allowed.`,
    );
}

function* checkFormat(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
  const { type, format, max_bytes: maxBytes } = field;
  if (format === undefined) return;
  if (type !== "string" || field.enum !== undefined)
    yield errorAt(
      "FIELD_FORMAT_INVALID",
      `${label} has a format, which only a string without an enum may have.`,
      `${at}.format`,
    );
  const isSize = (size: number): boolean =>
    Number.isSafeInteger(size) && size > 0 && size <= MAX_FIELD_BYTES;
  if (format === "bytes" && maxBytes !== undefined && !isSize(maxBytes))
    yield errorAt(
      "FIELD_FORMAT_INVALID",
      `The maximum size of ${label} must be a whole number of bytes from 1 to ${MAX_FIELD_BYTES}.`,
      `${at}.max_bytes`,
      "Store larger content in a file: see docs/files.md.",
    );
}
