import type { Manifest, ManifestEntity, ManifestRelation } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";

/**
 * Checks the names, targets and fields of an entity's relations.
 *
 * @param names the names of the entity's fields
 */
export function* checkRelations(
  entity: ManifestEntity,
  manifest: Manifest,
  names: ReadonlySet<string>,
  at: string,
): Generator<Diagnostic> {
  for (const [index, relation] of (entity.relations ?? []).entries()) {
    const { name, target, field, many } = relation;
    const path = `${at}.relations[${index}]`;
    const other = manifest.entities.find((candidate) => candidate.name === target);
    if (other === undefined) {
      yield errorAt(
        "RELATION_TARGET_NOT_FOUND",
        `The relation "${name}" of ${entity.name} leads to the entity "${target}", ` +
          "which does not exist.",
        `${path}.target`,
      );
    } else if (relation.through !== undefined || relation.targetField !== undefined) {
      yield* checkThrough(entity, relation, manifest, path);
    } else if (
      many === true
        ? !other.fields.some((candidate) => candidate.name === field)
        : !names.has(field)
    ) {
      yield errorAt(
        "RELATION_FIELD_NOT_FOUND",
        `The relation "${name}" of ${entity.name} uses the field "${field}", ` +
          `which ${many === true ? target : entity.name} does not have.`,
        `${path}.field`,
      );
    }
    if (names.has(name))
      yield errorAt(
        "RELATION_NAME_TAKEN",
        `The relation "${name}" of ${entity.name} has the same name as a field.`,
        `${path}.name`,
      );
  }
}

/** Checks that a relation through a third entity declares all its parts. */
function* checkThrough(
  { name: owner }: ManifestEntity,
  { name, field, many, through, targetField }: ManifestRelation,
  manifest: Manifest,
  path: string,
): Generator<Diagnostic> {
  const label = `The relation "${name}" of ${owner}`;
  if (many !== true)
    yield errorAt("RELATION_NOT_MANY", `${label} has "through", so it must be many: true.`, path);
  const between = manifest.entities.find((candidate) => candidate.name === through);
  if (through === undefined || between === undefined) {
    yield errorAt(
      "RELATION_THROUGH_NOT_FOUND",
      through === undefined
        ? `${label} has "targetField", but no "through" with the entity of this field.`
        : `${label} leads through the entity "${through}", which does not exist.`,
      `${path}.through`,
    );
    return;
  }
  for (const [key, value] of Object.entries({ field, targetField })) {
    if (between.fields.some((candidate) => candidate.name === value)) continue;
    yield errorAt(
      "RELATION_FIELD_NOT_FOUND",
      value === undefined
        ? `${label} has no "targetField", the field of ${through} with the target's id.`
        : `${label} uses the field "${value}", which ${through} does not have.`,
      `${path}.${key}`,
    );
  }
}
