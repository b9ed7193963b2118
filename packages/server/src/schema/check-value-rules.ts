import { MAX_ARRAY_ITEMS, MAX_ENUM_VALUES, MAX_FIELD_BYTES } from "@pylonsync/protocol";
import { normaliseValue } from "@pylonsync/query";
import type { ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import type { ManifestRules } from "./field-value.ts";
import { defaultsToNow } from "./mend-dates.ts";
import { isValueSchema } from "./value-schema.ts";

const TEXTS = new Set(["string", "richtext"]);
const NUMBERS = new Set(["int", "float"]);
const NESTED = new Set(["json", "array"]);
const ITEMS = new Set(["string", "int", "float", "bool", "datetime"]);

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
  yield* checkRules(field, label, at);
  yield* checkNested(field, label, at);
  if (field.timestamp !== undefined && (!defaultsToNow(field) || field.optional))
    yield errorAt(
      "FIELD_TIMESTAMP_INVALID",
      `${label} is stamped by the server, so it is a required datetime with the default "now".`,
      `${at}.timestamp`,
    );
}

function* checkRules(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
  yield* checkEnum(field, label, at);
  yield* checkLimits(field, label, at);
  yield* checkPattern(field, label, at);
  yield* checkFormat(field, label, at);
}

/** What is in a json or an array, and what can't be asked of one. */
function* checkNested(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  const { type, items, schema } = field;
  const wrong = (message: string, part: string, hint?: string): Diagnostic =>
    errorAt("FIELD_NESTED_INVALID", message, `${at}${part}`, hint);
  if (NESTED.has(type) && (field.unique || field.owner === true))
    yield wrong(`${label} is ${type === "json" ? "a json" : "an array"}, and has no order.`, "");
  if (type === "array" ? items === undefined : items !== undefined)
    yield wrong(`${label} is a ${type}, and an array alone has items.`, ".items");
  else if (items !== undefined && !ITEMS.has(items.type))
    yield wrong(
      `The items of ${label} are ${items.type}, which an array does not have.`,
      ".items.type",
      `Use ${[...ITEMS].join(", ")}, or a json field.`,
    );
  else if (items !== undefined) yield* checkRules(items, `Each item of ${label}`, `${at}.items`);
  if (schema !== undefined && (type !== "json" || !isValueSchema(schema)))
    yield wrong(
      type === "json"
        ? `The schema of ${label} is not a validator.`
        : `${label} is a ${type}, and a json alone has a schema.`,
      ".schema",
      "Write field.json(v.object({ ... })), with v of @pylonsync/functions.",
    );
}

/** No index is made over what has no order. */
export function* checkNestedIndexes(entity: ManifestEntity, at: string): Generator<Diagnostic> {
  const nested = new Set(
    entity.fields.filter(({ type }) => NESTED.has(type)).map(({ name }) => name),
  );
  for (const [index, { name, fields }] of entity.indexes.entries()) {
    const field = fields.find((one) => nested.has(one));
    if (field !== undefined)
      yield errorAt(
        "INDEX_FIELD_INVALID",
        `The index "${name}" of ${entity.name} has ${field}, which has no order.`,
        `${at}.indexes[${index}].fields`,
      );
  }
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

function* checkEnum(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
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

function* checkLimits(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
  const { type, min, max } = field;
  if (min === undefined && max === undefined) return;
  const wrong = (message: string): Diagnostic => errorAt("FIELD_LIMIT_INVALID", message, at);
  const counted = TEXTS.has(type) ? "characters" : type === "array" ? "items" : undefined;
  if (counted === undefined && !NUMBERS.has(type)) {
    yield wrong(`${label} is a ${type}, and min and max are for texts, numbers and arrays.`);
    return;
  }
  const isCount = (limit: number): boolean => Number.isSafeInteger(limit) && limit >= 0;
  for (const limit of [min, max]) {
    if (limit !== undefined && counted !== undefined && !isCount(limit))
      yield wrong(`${label} counts its ${counted}, and ${limit} is not a count.`);
  }
  if (type === "array" && (max ?? 0) > MAX_ARRAY_ITEMS)
    yield wrong(`${label} has a max of ${max}, and an array has at most ${MAX_ARRAY_ITEMS} items.`);
  if (min !== undefined && max !== undefined && min > max)
    yield wrong(`${label} has a min of ${min} above its max of ${max}, so no value would do.`);
}

function* checkPattern(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
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

function* checkFormat(field: ManifestRules, label: string, at: string): Generator<Diagnostic> {
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
