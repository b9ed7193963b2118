import { MAX_SEARCH_FIELDS } from "@pylonsync/protocol";
import { isScalarKind } from "@pylonsync/query";
import type { ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { itemKindOf, kindOf } from "./field-kind.ts";

/** The number of weights that Postgres distinguishes. */
const MAX_WEIGHTS = 4;
const MAX_WEIGHT = 1_000;

/** Checks the types and the number of the fields of a search. */
export function* checkSearch(entity: ManifestEntity, at: string): Generator<Diagnostic> {
  const { search } = entity;
  if (search === undefined) return;
  const fields = new Map(entity.fields.map((field) => [field.name, field]));
  for (const [part, names] of [
    ["text", search.text],
    ["facets", search.facets],
    ["sortable", search.sortable],
  ] as const) {
    const path = `${at}.search.${part}`;
    if (names.length > MAX_SEARCH_FIELDS)
      yield errorAt(
        "SEARCH_FIELDS_TOO_MANY",
        `The search of ${entity.name} has ${names.length} fields in ${part}, ` +
          `but at most ${MAX_SEARCH_FIELDS} are allowed.`,
        path,
      );
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined)
      yield errorAt(
        "SEARCH_FIELD_DUPLICATE",
        `The search of ${entity.name} names ${twice} twice in ${part}.`,
        path,
      );
    for (const name of names) {
      const field = fields.get(name);
      if (field !== undefined) yield* checkKind(entity, field, part, path);
    }
  }
  yield* checkWeights(entity, `${at}.search.weights`);
}

function* checkKind(
  { name }: ManifestEntity,
  field: ManifestField,
  part: "text" | "facets" | "sortable",
  path: string,
): Generator<Diagnostic> {
  const label = `${name}.${field.name}`;
  const is = `is ${/^(?:int|array)/.test(field.type) ? "an" : "a"} ${field.type}`;
  const kind = kindOf(field.type);
  const isCounted = part === "facets" && itemKindOf(field) !== undefined;
  if (
    part === "text" ? kind !== "string" && kind !== "richtext" : !isScalarKind(kind) && !isCounted
  )
    yield errorAt(
      "SEARCH_FIELD_INVALID",
      part === "text"
        ? `${label} ${is}, but only string and richtext fields can be searched.`
        : `${label} ${is}, which can't be ${part === "facets" ? "counted" : "sorted by"}.`,
      path,
      "Remove it from the search.",
    );
}

function* checkWeights({ name, search }: ManifestEntity, path: string): Generator<Diagnostic> {
  const weights = search?.weights ?? {};
  const text = search?.text ?? [];
  const wrong = (message: string, hint?: string): Diagnostic =>
    errorAt("SEARCH_WEIGHT_INVALID", message, path, hint);
  for (const [field, weight] of Object.entries(weights)) {
    if (!text.includes(field))
      yield wrong(`The search of ${name} has a weight for ${field}, but does not search it.`);
    if (!(weight > 0 && weight <= MAX_WEIGHT))
      yield wrong(
        `The weight of ${name}.${field} is ${weight}, which is not valid.`,
        `Use a number above 0 and at most ${MAX_WEIGHT}.`,
      );
  }
  const different = new Set(text.map((field) => weights[field] ?? 1));
  if (different.size > MAX_WEIGHTS)
    yield wrong(
      `The search of ${name} has ${different.size} different weights.`,
      `Use at most ${MAX_WEIGHTS}, including the default weight 1.`,
    );
}
