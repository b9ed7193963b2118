import { parseStoredManifest } from "../../schema/stored-manifest.ts";

/**
 * The unique indexes of the app's tables, as lists of fields: those of unique fields and the
 * declared ones.
 */
export class UniqueIndexes {
  readonly #byEntity = new Map<string, readonly (readonly string[])[]>();

  /** @param manifestJson null for a new database */
  constructor(manifestJson: string | null) {
    const entities = parseStoredManifest(manifestJson)?.entities ?? [];
    for (const { name, fields, indexes } of entities) {
      this.#byEntity.set(name, [
        ...fields.filter(({ unique }) => unique).map((field) => [field.name]),
        ...indexes.filter(({ unique }) => unique).map((index) => index.fields),
      ]);
    }
  }

  of(entity: string): readonly (readonly string[])[] {
    return this.#byEntity.get(entity) ?? [];
  }

  /** The indexes that a change of the given fields may violate. */
  touchedBy(entity: string, names: readonly string[]): readonly (readonly string[])[] {
    return this.of(entity).filter((fields) => fields.some((field) => names.includes(field)));
  }
}
