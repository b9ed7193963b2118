import type { ManifestEntity, ManifestField, ManifestIndex } from "../manifest.ts";
import { isObject, shown, suggestion } from "../mistake.ts";

/**
 * Checks the options of a plugin.
 *
 * @throws Error that names the option, with a suggestion
 */
export function checkOptions(plugin: string, options: unknown, known: readonly string[]): void {
  if (!isObject(options) || Array.isArray(options))
    throw new Error(`${plugin} received ${shown(options)}, and takes an object of options.`);
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw new Error(`${plugin} has no option "${name}". ${suggestion(name, known)}`);
}

/** @throws Error if the value is not a list of names */
export function checkNames(plugin: string, option: string, names: unknown): void {
  if (names === undefined) return;
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    throw new Error(`${option} of ${plugin} is ${shown(names)}, and must be a list of names.`);
}

/** @throws Error if the value is not an integer of at least `least` */
export function checkCount(plugin: string, option: string, value: unknown, least: number): void {
  if (value !== undefined && !(Number.isInteger(value) && Number(value) >= least))
    throw new Error(
      `${option} of ${plugin} is ${shown(value)}, and must be a whole number from ${least}.`,
    );
}

/**
 * The names of the fields whose values may be copied to another table or sent to another server:
 * all but those that are hidden or encrypted.
 */
export function copiedFields({ fields }: Pick<ManifestEntity, "fields">): string[] {
  return fields
    .filter(({ hidden, type }) => hidden !== true && type !== "encrypted")
    .map(({ name }) => name);
}

/**
 * Returns the app's entities, with the given ones changed.
 *
 * @param names the entities to change; default all
 * @throws Error for an unknown entity
 */
export function changeEntities(
  plugin: string,
  entities: readonly ManifestEntity[],
  names: readonly string[] | undefined,
  change: (entity: ManifestEntity) => ManifestEntity,
): readonly ManifestEntity[] {
  const known = entities.map(({ name }) => name);
  for (const name of names ?? [])
    if (!known.includes(name))
      throw new Error(
        `${plugin} names the entity "${name}", which the app does not have. ` +
          suggestion(name, known),
      );
  return entities.map((entity) =>
    names === undefined || names.includes(entity.name) ? change(entity) : entity,
  );
}

/**
 * Adds a field to an entity that does not have it.
 *
 * @throws Error if the entity has a field of this name with another type
 */
export function withField(
  plugin: string,
  entity: ManifestEntity,
  field: ManifestField,
): ManifestEntity {
  const own = entity.fields.find(({ name }) => name === field.name);
  if (own === undefined) return { ...entity, fields: [...entity.fields, field] };
  if (own.type === field.type) return entity;
  throw new Error(
    `${plugin} needs ${entity.name}.${field.name} to have the type ${field.type}, ` +
      `but it has ${own.type}.`,
  );
}

/** Adds an index to an entity that has none over the same fields in this order. */
export function withIndex(
  entity: ManifestEntity,
  fields: readonly string[],
  unique = false,
): ManifestEntity {
  const isThere = entity.indexes.some(
    (index) => index.unique === unique && String(index.fields) === String(fields),
  );
  if (isThere) return entity;
  const index: ManifestIndex = { name: `by_${fields.join("_")}`, fields, unique };
  return { ...entity, indexes: [...entity.indexes, index] };
}

/** @throws Error if the entity does not have the field */
export function checkField(plugin: string, entity: ManifestEntity, name: string): void {
  const known = entity.fields.map((field) => field.name);
  if (!known.includes(name))
    throw new Error(
      `${plugin} names the field ${entity.name}.${name}, which does not exist. ` +
        suggestion(name, known),
    );
}
