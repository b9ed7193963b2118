import { PylonError } from "@pylonsync/protocol";
import { nearest, type EntityShape, type FieldKind, type SchemaShape } from "@pylonsync/query";
import type { Manifest, ManifestEntity, ManifestField, ManifestIndex, ManifestRelation, ManifestSearch } from "@pylonsync/sdk";

export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  /** The entity whose ids it holds. */
  readonly target: string | undefined;
  readonly optional: boolean;
  readonly unique: boolean;
  readonly default: string | number | boolean | undefined;
  readonly readonly: boolean;
  readonly owner: boolean;
  /** What a file must be to be stored here; undefined when the field holds no file. */
  readonly file: FileRules | undefined;
  /** Most bytes of UTF-8 that its text may have, because an index holds it: Infinity for a field without one. */
  readonly maxTextBytes: number;
}

export interface FileRules {
  /** Media types: exact ones, or families such as `image/*`. Empty: any. */
  readonly accept: readonly string[];
  /** Bytes. */
  readonly maxBytes: number;
}

export type FileField = Field & { readonly file: FileRules };

export interface Entity {
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  readonly fileFields: readonly FileField[];
  readonly indexes: readonly ManifestIndex[];
  readonly relations: ReadonlyMap<string, ManifestRelation>;
  readonly search: ManifestSearch | undefined;
  readonly shape: EntityShape;
}

/** A valid manifest's entities, ready to be asked. */
export class Schema {
  readonly entities: readonly Entity[];
  readonly shapes: SchemaShape;
  readonly #byName: ReadonlyMap<string, Entity>;

  private constructor(entities: readonly Entity[]) {
    this.entities = entities;
    this.#byName = new Map(entities.map((entity) => [entity.name, entity]));
    this.shapes = new Map(entities.map((entity) => [entity.name, entity.shape]));
  }

  static fromManifest(manifest: Pick<Manifest, "entities">): Schema {
    return new Schema(manifest.entities.map(toEntity));
  }

  find(name: string): Entity | undefined {
    return this.#byName.get(name);
  }

  /** @throws PylonError ENTITY_NOT_FOUND */
  entity(name: string): Entity {
    const entity = this.#byName.get(name);
    if (entity !== undefined) return entity;
    const meant = nearest(String(name), this.#byName.keys());
    throw new PylonError("ENTITY_NOT_FOUND", `There is no entity "${String(name).slice(0, 80)}".`, {
      field: "entity",
      hint: meant === undefined ? "See app.ts for the entities." : `Did you mean "${meant}"?`,
    });
  }
}

/** The kind of a manifest's field type: `id(User)` and `file` are `id`. */
export function kindOf(type: string): FieldKind {
  return type.startsWith("id(") || type === "file" ? "id" : (type as FieldKind);
}

/** The entity in `id(User)`. */
export function targetOf(type: string): string | undefined {
  return /^id\((.*)\)$/.exec(type)?.[1];
}

/** What an entry of an index may have in Postgres; SQLite has no limit, and an app must not find that out when it moves. */
const INDEX_ENTRY_BYTES = 2600;

function toEntity(entity: ManifestEntity): Entity {
  const fields = new Map(entity.fields.map((field) => [field.name, toField(field, maxTextBytes(entity, field))]));
  return {
    name: entity.name,
    fields,
    fileFields: [...fields.values()].filter((field): field is FileField => field.file !== undefined),
    indexes: entity.indexes,
    relations: new Map((entity.relations ?? []).map((relation) => [relation.name, relation])),
    search: entity.search,
    shape: { name: entity.name, fields: new Map<string, FieldKind>([["id", "id"], ...[...fields.values()].map(({ name, kind }) => [name, kind] as const)]) },
  };
}

/** The texts of an index share its entry. */
function maxTextBytes({ indexes }: ManifestEntity, { name, unique }: ManifestField): number {
  const sharers = indexes.filter(({ fields }) => fields.includes(name)).map(({ fields }) => fields.length);
  const most = Math.max(unique ? 1 : 0, ...sharers);
  return most === 0 ? Infinity : Math.floor(INDEX_ENTRY_BYTES / most);
}

function toField(field: ManifestField, maxBytes: number): Field {
  return {
    name: field.name,
    kind: kindOf(field.type),
    target: targetOf(field.type),
    optional: field.optional,
    unique: field.unique,
    default: field.default,
    readonly: field.readonly === true,
    owner: field.owner === true,
    file: field.type === "file" ? { accept: field.accept ?? [], maxBytes: field.max_bytes ?? Infinity } : undefined,
    maxTextBytes: maxBytes,
  };
}
