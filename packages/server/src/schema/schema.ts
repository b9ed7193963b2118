import { PylonError } from "@pylonsync/protocol";
import {
  nearest,
  type EntityShape,
  type FieldKind,
  type ScalarKind,
  type SchemaShape,
} from "@pylonsync/query";
import {
  encryptedFieldsOf,
  sealingOf,
  type RowSealing,
  type ValueCipher,
} from "./encrypted-fields.ts";
import { itemKindOf, kindOf, targetOf } from "./field-kind.ts";
import { referencesOf, type Reference } from "./references.ts";
import type { StoredRow } from "./row.ts";
import { defaultsToUuid, isGenerated } from "./generated-default.ts";
import { defaultsToNow, withNormalDefault } from "./datetime-defaults.ts";
import { readValueOf, type ReadValue } from "./field-value.ts";
import { searchIndexOf, type SearchIndex } from "./search-index.ts";
import { fieldCodeOf } from "@pylonsync/sdk";
import type {
  FieldCode,
  Json,
  Manifest,
  ManifestEntity,
  ManifestField,
  ManifestIndex,
  ManifestRelation,
  ManifestSearch,
} from "@pylonsync/sdk";

/** A field of an entity, compiled. */
export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  /** The kind of the items of an array. */
  readonly itemKind: ScalarKind | undefined;
  /** Whether it is a string that is a date without a time. */
  readonly isDate: boolean;
  /** The entity whose ids the field contains. */
  readonly target: string | undefined;
  readonly optional: boolean;
  readonly unique: boolean;
  readonly default: Exclude<Json, null> | undefined;
  /** For a datetime: the default is the time of the write. */
  readonly defaultsToNow: boolean;
  /** For a string: the default is a new UUID. */
  readonly defaultsToUuid: boolean;
  readonly readonly: boolean;
  readonly owner: boolean;
  /** No caller ever receives the field or may filter or sort by it. */
  readonly hidden: boolean;
  /** Written only by sign-up, sign-in and server functions. */
  readonly managed: boolean;
  /** The server sets the field at the insert, or at each change of the row. */
  readonly timestamp: "created" | "updated" | undefined;
  /** Creates the value for an insert that does not contain the field. */
  readonly makeDefault: FieldCode["default"];
  /** Computes the value from the other fields of the row, at each write. */
  readonly compute: FieldCode["computed"];
  /** Validates a value, and converts it to the form in which it is stored. */
  readonly read: ReadValue;
  /** The requirements for a file in this field; undefined if the field holds no file. */
  readonly file: FileRules | undefined;
  /**
   * The maximum size of the text, in bytes of UTF-8, if it is part of an index: Infinity for other
   * fields.
   */
  readonly maxTextBytes: number;
  /** Concurrent edits of the text are merged: it is part of the document of its row. */
  readonly isMerged: boolean;
}

/** The requirements for a file in a field. */
export interface FileRules {
  /** Accepted media types: exact ones, or families such as `image/*`. Empty: any. */
  readonly accept: readonly string[];
  /** Bytes. */
  readonly maxBytes: number;
}

/** A field that holds a file. */
export type FileField = Field & { readonly file: FileRules };

/** A field that is computed from the other fields of its row. */
export type ComputedField = Field & {
  readonly compute: Exclude<Field["compute"], undefined>;
};

/** An entity of the app, compiled. */
export interface Entity {
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  readonly fileFields: readonly FileField[];
  /** Whether the server sets or computes at least one field. */
  readonly hasServerFields: boolean;
  /** The computed fields, in the order of their computation. */
  readonly computed: readonly ComputedField[];
  /** The names of the fields that the server sets at each change of a row. */
  readonly updateStamps: readonly string[];
  readonly indexes: readonly ManifestIndex[];
  /** The fields of this entity that must contain ids of existing rows. */
  readonly references: readonly Reference[];
  /** The fields of any entity that must contain ids of rows of this entity. */
  readonly referrers: readonly Reference[];
  readonly relations: ReadonlyMap<string, ManifestRelation>;
  readonly search: ManifestSearch | undefined;
  /** The index of the searched texts; undefined if the search covers no texts. */
  readonly searchIndex: SearchIndex | undefined;
  /** Clients replicate all of the entity's rows, regardless of their queries. */
  readonly isOffline: boolean;
  /** Earlier names of the entity, which callers may still use. */
  readonly oldNames: readonly string[];
  /** By old name: the field that was renamed from it. */
  readonly oldFields: ReadonlyMap<string, Field>;
  /** Includes the old names of fields. */
  readonly shape: EntityShape;
  /** The shape for callers: without hidden fields. */
  readonly publicShape: EntityShape;
  /** Returns the parts of a stored row that may be sent to callers. */
  readonly visible: (row: StoredRow) => StoredRow;
  /** The conversions between rows and their stored form. */
  readonly sealing: RowSealing;
  /** Whether it has encrypted fields. */
  readonly isEncrypted: boolean;
  /** The texts that form the document of a row; none if the entity has no documents. */
  readonly documentFields: readonly string[];
  /**
   * Returns the row as the change log stores it: without the hash of a user's password, which no
   * client receives and which the log would retain for a long time.
   */
  readonly logged: (row: StoredRow) => StoredRow;
}

/** The entities of a valid manifest, compiled. */
export class Schema {
  readonly entities: readonly Entity[];
  /** The shapes for policies, with the current names of the app only. */
  readonly shapes: SchemaShape;
  readonly #byName: ReadonlyMap<string, Entity>;

  private constructor(entities: readonly Entity[]) {
    this.entities = entities;
    this.#byName = new Map([
      ...entities.flatMap((entity) =>
        entity.oldNames.map((name): [string, Entity] => [name, entity]),
      ),
      ...entities.map((entity): [string, Entity] => [entity.name, entity]),
    ]);
    this.shapes = new Map(
      entities.map(({ name, fields }) => [name, shapeOf(name, [...fields.values()])]),
    );
  }

  /** @param cipher encrypts and decrypts values; null where no rows are read or written */
  static fromManifest(
    manifest: Pick<Manifest, "entities" | "auth">,
    cipher: ValueCipher | null = null,
  ): Schema {
    const references = referencesOf(manifest.entities);
    return new Schema(
      manifest.entities.map((entity) =>
        toEntity(
          entity,
          isUserEntity(entity, manifest),
          hiddenBySignIn(entity, manifest),
          references,
          sealingOf(encryptedFieldsOf(entity), cipher),
        ),
      ),
    );
  }

  /** Finds an entity by its name, or by an earlier one. */
  find(name: string): Entity | undefined {
    return this.#byName.get(name);
  }

  /** @throws PylonError ENTITY_NOT_FOUND */
  entity(name: string): Entity {
    const entity = this.#byName.get(name);
    if (entity !== undefined) return entity;
    const meant = nearest(String(name), this.#byName.keys());
    throw new PylonError(
      "ENTITY_NOT_FOUND",
      `The entity "${String(name).slice(0, 80)}" does not exist.`,
      {
        field: "entity",
        hint:
          meant === undefined ? "The entities are declared in app.ts." : `Did you mean "${meant}"?`,
      },
    );
  }
}

/**
 * The size that an index entry may have in Postgres. SQLite has no such limit, but apps must not
 * discover it only when they move to Postgres.
 */
const INDEX_ENTRY_BYTES = 2600;

/**
 * The fields of a user's row that sign-up and sign-in manage. A user who could write them could
 * claim the address of another user, and thereby take over the account.
 */
const MANAGED = new Set(["email", "emailVerified", "passwordHash"]);

/** Whether the entity holds the users; also by an earlier name, by which sign-in finds it. */
export function isUserEntity(
  { name, renamed_from: oldNames = [] }: ManifestEntity,
  { auth }: Pick<Manifest, "auth">,
): boolean {
  return [name, ...oldNames].includes(auth?.user?.entity ?? "User");
}

/** The fields of a user that sign-in hides, regardless of their own declaration. */
export function hiddenBySignIn(
  entity: ManifestEntity,
  manifest: Pick<Manifest, "auth">,
): (field: string) => boolean {
  if (!isUserEntity(entity, manifest)) return () => false;
  const hide = manifest.auth?.user?.hide ?? [];
  const renamed = entity.fields.flatMap(({ name, renamed_from: oldNames = [] }) =>
    oldNames.some((old) => hide.includes(old)) ? [name] : [],
  );
  const hidden = new Set(["passwordHash", ...hide, ...renamed]);
  return (name) => name.startsWith("_") || hidden.has(name);
}

function toEntity(
  entity: ManifestEntity,
  isUser: boolean,
  isHidden: (field: string) => boolean,
  references: readonly Reference[],
  sealing: RowSealing,
): Entity {
  const isManaged = (name: string): boolean => isUser && MANAGED.has(name);
  const fields = new Map(
    entity.fields.map((field) => [
      field.name,
      toField(field, {
        maxBytes: maxTextBytes(entity, field),
        hidden: field.hidden === true || isHidden(field.name),
        managed: isManaged(field.name),
      }),
    ]),
  );
  const oldFields = oldFieldsOf(entity, fields);
  const all = [...fields, ...oldFields].map(([name, field]) => ({ ...field, name }));
  const shape = shapeOf(entity.name, all);
  const shown = all.filter(({ hidden }) => !hidden);
  return {
    name: entity.name,
    fields,
    fileFields: [...fields.values()].filter(
      (field): field is FileField => field.file !== undefined,
    ),
    hasServerFields: [...fields.values()].some(isServerWritten),
    computed: [...fields.values()].filter(
      (field): field is ComputedField => field.compute !== undefined,
    ),
    updateStamps: [...fields.values()]
      .filter(({ timestamp }) => timestamp === "updated")
      .map(({ name }) => name),
    indexes: entity.indexes,
    references: references.filter((reference) => reference.entity === entity.name),
    referrers: references.filter(({ target }) => target === entity.name),
    isOffline: entity.offline === "all",
    relations: new Map((entity.relations ?? []).map((relation) => [relation.name, relation])),
    search: entity.search,
    searchIndex: searchIndexOf(entity),
    oldNames: entity.renamed_from ?? [],
    oldFields,
    shape,
    publicShape: shown.length === all.length ? shape : shapeOf(entity.name, shown),
    visible: only(new Set(["id", ...shown.map(({ name }) => name)]), sealing),
    sealing,
    isEncrypted: encryptedFieldsOf(entity).length > 0,
    documentFields: entity.crdt === false ? [] : documentFieldsOf([...fields.values()]),
    logged: without(
      [...fields.values()]
        .filter(({ hidden, managed }) => hidden && managed)
        .map(({ name }) => name),
    ),
  };
}

/** A hidden text is part of no document, because every reader of a row receives its document. */
function documentFieldsOf(fields: readonly Field[]): readonly string[] {
  return fields.filter(({ isMerged, hidden }) => isMerged && !hidden).map(({ name }) => name);
}

/** Whether only the server writes the field. */
export function isServerWritten({
  timestamp,
  compute,
}: Pick<Field, "timestamp" | "compute">): boolean {
  return timestamp !== undefined || compute !== undefined;
}

function oldFieldsOf(
  entity: ManifestEntity,
  fields: ReadonlyMap<string, Field>,
): ReadonlyMap<string, Field> {
  return new Map(
    entity.fields.flatMap(({ name, renamed_from: oldNames = [] }) => {
      const field = fields.get(name);
      return field === undefined ? [] : oldNames.map((old): [string, Field] => [old, field]);
    }),
  );
}

/**
 * Returns the entity for a caller who may not read some of its fields: rows do not contain these
 * fields, and queries can't use them, by current or old names.
 *
 * @param closed the fields, by their current names
 */
export function withoutFields(entity: Entity, closed: ReadonlySet<string>): Entity {
  const currentName = (name: string): string => entity.oldFields.get(name)?.name ?? name;
  const isOpen = (name: string): boolean => !closed.has(currentName(name));
  const shown = [...entity.publicShape.fields].filter(([name]) => isOpen(name));
  const { search } = entity;
  return {
    ...entity,
    search: search && {
      ...search,
      facets: search.facets.filter(isOpen),
      sortable: search.sortable.filter(isOpen),
    },
    publicShape: {
      ...entity.publicShape,
      fields: new Map(shown),
      hintFor: (field) =>
        entity.shape.fields.has(field) && !isOpen(field)
          ? `A policy does not let you read ${field}, so you can't use it in a query.`
          : undefined,
    },
    visible: only(new Set(shown.map(([name]) => name)), entity.sealing),
  };
}

/**
 * Removes hidden fields, and fields that only another version of the app declares, whose changes
 * are also in the log; decrypts the rest.
 */
function only(shown: ReadonlySet<string>, { opened }: RowSealing): (row: StoredRow) => StoredRow {
  return (row) => {
    for (const name in row) {
      if (!shown.has(name)) return opened(withFields(row, (field) => shown.has(field)));
    }
    return opened(row);
  };
}

function without(names: readonly string[]): (row: StoredRow) => StoredRow {
  if (names.length === 0) return (row) => row;
  return (row) => withFields(row, (name) => !names.includes(name));
}

function withFields(row: StoredRow, isKept: (name: string) => boolean): StoredRow {
  const fields = Object.fromEntries(Object.entries(row).filter(([name]) => isKept(name)));
  return { ...fields, id: row.id };
}

function shapeOf(name: string, fields: readonly Field[]): EntityShape {
  return {
    name,
    fields: new Map<string, FieldKind>([
      ["id", "id"],
      ...fields.map(({ name: field, kind }) => [field, kind] as const),
    ]),
    items: new Map(
      fields.flatMap(({ name: field, itemKind }) =>
        itemKind === undefined ? [] : [[field, itemKind] as const],
      ),
    ),
    dates: new Set(fields.filter(({ isDate }) => isDate).map(({ name: field }) => field)),
  };
}

/** The texts of an index share the size of its entry. */
export function maxTextBytes({ indexes }: ManifestEntity, { name, unique }: ManifestField): number {
  const sharers = indexes
    .filter(({ fields }) => fields.includes(name))
    .map(({ fields }) => fields.length);
  const most = Math.max(unique ? 1 : 0, ...sharers);
  return most === 0 ? Infinity : Math.floor(INDEX_ENTRY_BYTES / most);
}

function toField(
  field: ManifestField,
  {
    maxBytes,
    hidden,
    managed,
  }: { readonly maxBytes: number; readonly hidden: boolean; readonly managed: boolean },
): Field {
  return {
    name: field.name,
    kind: kindOf(field.type),
    itemKind: itemKindOf(field),
    isDate: field.format === "date",
    target: targetOf(field.type),
    optional: field.optional,
    unique: field.unique,
    default: isGenerated(field) ? undefined : withNormalDefault(field).default,
    defaultsToNow: defaultsToNow(field),
    defaultsToUuid: defaultsToUuid(field),
    readonly: field.readonly === true,
    owner: field.owner === true,
    hidden,
    managed,
    timestamp: field.timestamp,
    makeDefault: fieldCodeOf(field)?.default,
    compute: fieldCodeOf(field)?.computed,
    read: readValueOf(field),
    file:
      field.type === "file"
        ? { accept: field.accept ?? [], maxBytes: field.max_bytes ?? Infinity }
        : undefined,
    maxTextBytes: maxBytes,
    isMerged: isMergedText(field),
  };
}

function isMergedText({ type, crdt, computed }: ManifestField): boolean {
  if (computed === true) return false;
  return type === "richtext" ? crdt !== "lww" : type === "string" && crdt === "text";
}
