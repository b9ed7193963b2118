import type { Manifest, ManifestEntity } from "@pylonsync/sdk";
import { checkField } from "./check-field.ts";
import { checkHide } from "./check-hide.ts";
import { duplicates, unknownFields } from "./check-names.ts";
import { NAME, checkOldNames } from "./check-old-names.ts";
import { checkRelations } from "./check-relations.ts";
import { checkSearch } from "./check-search.ts";
import { checkHiddenFields, checkNestedIndexes } from "./check-value-rules.ts";
import { checkEncryptedFields } from "./encrypted-fields.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { referenceIndexName, uniqueIndexName } from "./diff.ts";
import { hiddenBySignIn } from "./schema.ts";

/** Checks an entity with its fields, indexes, relations and search. */
export function* checkEntity(
  entity: ManifestEntity,
  manifest: Manifest,
  at: string,
): Generator<Diagnostic> {
  if (entity.name !== "" && !NAME.test(entity.name)) {
    yield errorAt(
      "ENTITY_NAME_INVALID",
      `"${entity.name}" is not a valid name for an entity.`,
      `${at}.name`,
      "Use at most 63 letters, digits and _, starting with a letter.",
    );
  }
  if (/^sqlite_/i.test(entity.name))
    yield errorAt(
      "ENTITY_NAME_RESERVED",
      `${entity.name} is not allowed: SQLite reserves names that begin with sqlite_.`,
      `${at}.name`,
      "Choose another name.",
    );
  yield* duplicates(entity.fields, "FIELD", `${at}.fields`);
  yield* checkOldNames(entity.fields, `${at}.fields`, (name) => `${entity.name}.${name}`);
  for (const [index, field] of entity.fields.entries())
    yield* checkField(entity, field, manifest, `${at}.fields[${index}]`);
  yield* duplicates(entity.indexes, "INDEX_NAME", `${at}.indexes`);
  yield* indexesOfFields(entity, at);
  const names = new Set(["id", ...entity.fields.map(({ name }) => name)]);
  for (const [index, { name, fields }] of entity.indexes.entries()) {
    if (fields.length === 0)
      yield errorAt(
        "INDEX_FIELDS_EMPTY",
        `The index "${name}" of ${entity.name} has no fields.`,
        `${at}.indexes[${index}].fields`,
      );
    yield* unknownFields(
      fields,
      names,
      "INDEX_FIELD_NOT_FOUND",
      `The index "${name}" of ${entity.name}`,
      `${at}.indexes[${index}].fields`,
    );
  }
  yield* checkRelations(entity, manifest, names, at);
  const { text = [], facets = [], sortable = [] } = entity.search ?? {};
  yield* unknownFields(
    [...text, ...facets, ...sortable],
    names,
    "SEARCH_FIELD_NOT_FOUND",
    `The search of ${entity.name}`,
    `${at}.search`,
  );
  yield* checkSearch(entity, at);
  yield* checkHiddenFields(entity, hiddenBySignIn(entity, manifest), at);
  yield* checkHide(entity, manifest);
  yield* checkNestedIndexes(entity, at);
  yield* checkEncryptedFields(entity, manifest, at);
}

/** Reports indexes with the name of an index that a unique field or a reference creates. */
function* indexesOfFields(entity: ManifestEntity, at: string): Generator<Diagnostic> {
  const own = new Set(
    entity.fields.flatMap((field) => [
      ...(field.unique ? [uniqueIndexName(field.name)] : []),
      ...(field.on_delete === undefined ? [] : [referenceIndexName(field.name)]),
    ]),
  );
  const taken = new Set([...own].map((name) => name.toLowerCase()));
  for (const [index, { name }] of entity.indexes.entries()) {
    if (taken.has(name.toLowerCase()))
      yield errorAt(
        "INDEX_NAME_RESERVED",
        `The index "${name}" of ${entity.name} has the same name as the index ` +
          "of a unique field or a reference.",
        `${at}.indexes[${index}].name`,
        "Choose another name, or remove the index.",
      );
  }
}
