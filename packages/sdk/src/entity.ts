import { field, type Field, type FieldTraits } from "./field.ts";
import type {
  ManifestEntity,
  ManifestIndex,
  ManifestRelation,
  ManifestSearch,
} from "./manifest.ts";
import { isObject, mistakeOf, shown, suggestion, unknownKeys } from "./mistake.ts";

/** The fields of an entity, by name. */
export type Fields = Readonly<Record<string, Field<FieldTraits>>>;

/**
 * What an entity has besides its fields.
 *
 * @example
 * const Task = entity("Task", { title: field.string(), assigneeId: field.id("User") }, {
 *   indexes: [{ name: "by_assignee", fields: ["assigneeId"], unique: false }],
 *   relations: [{ name: "assignee", target: "User", field: "assigneeId" }],
 *   search: { text: ["title"] },
 * });
 */
export interface EntityOptions<
  R extends readonly ManifestRelation[] = readonly ManifestRelation[],
> {
  /** For lookups and orders by several fields, or for values that are unique together. */
  readonly indexes?: readonly ManifestIndex[];
  /** Rows that queries may include, by a field that holds their id. */
  readonly relations?: R;
  /** The fields of the full-text search, of facet counts and of orders. */
  readonly search?: Partial<ManifestSearch>;
  /** False: no collaborative documents for this entity. */
  readonly crdt?: boolean;
}

/** A declared entity. It is its own manifest entry, and carries the types of its rows. */
export interface Entity<
  N extends string = string,
  F extends Fields = Fields,
  R extends readonly ManifestRelation[] = readonly ManifestRelation[],
> extends ManifestEntity {
  readonly name: N;
  /** Never set: carries the type. */
  readonly __fields?: F;
  /** Never set: carries the type. */
  readonly __relations?: R;
}

type FieldsOf<E> = E extends Entity<string, infer F> ? F : never;
type TraitsOf<E, K extends keyof FieldsOf<E>> = FieldsOf<E>[K] extends Field<infer T> ? T : never;
type ValueOf<T extends FieldTraits> = T["optional"] extends true ? T["value"] | null : T["value"];
type InputOf<T extends FieldTraits> = T["optional"] extends true ? T["input"] | null : T["input"];
type MayBeAbsent<T extends FieldTraits> = T["optional"] extends true
  ? true
  : T["hasDefault"] extends true
    ? true
    : T["owner"];
type Fixed<T extends FieldTraits> = T["readonly"] extends true ? true : T["owner"];
type Flat<T> = { [K in keyof T]: T[K] };

/** A row as it is read. An optional field is null when it has no value. */
export type RowOf<E> = Flat<
  { readonly id: string } & { readonly [K in keyof FieldsOf<E>]: ValueOf<TraitsOf<E, K>> }
>;

/** What an insert takes. The id may be chosen by the caller. */
export type InsertOf<E> = Flat<
  { readonly id?: string } & {
    readonly [
      K in keyof FieldsOf<E> as MayBeAbsent<TraitsOf<E, K>> extends true ? never : K
    ]: InputOf<TraitsOf<E, K>>;
  } & {
    readonly [K in keyof FieldsOf<E> as MayBeAbsent<TraitsOf<E, K>> extends true ? K : never]?:
      | InputOf<TraitsOf<E, K>>
      | undefined;
  }
>;

/** What an update takes. */
export type PatchOf<E> = Flat<{
  readonly [K in keyof FieldsOf<E> as Fixed<TraitsOf<E, K>> extends true ? never : K]?:
    | InputOf<TraitsOf<E, K>>
    | undefined;
}>;

/** What a field of a filter is compared with; null asks for rows without a value. */
type Condition<I> = I | null | Operators<I>;

interface Operators<I> {
  readonly $eq?: I | null;
  readonly $ne?: I | null;
  readonly $not?: I | null;
  readonly $gt?: Ordered<I>;
  readonly $gte?: Ordered<I>;
  readonly $lt?: Ordered<I>;
  readonly $lte?: Ordered<I>;
  readonly $between?: readonly [Ordered<I>, Ordered<I>];
  readonly $in?: readonly (I | null)[];
  readonly $nin?: readonly (I | null)[];
  readonly $like?: Text<I>;
  readonly $ilike?: Text<I>;
  readonly $startsWith?: Text<I>;
  readonly $endsWith?: Text<I>;
  readonly $exists?: boolean;
}
type Ordered<I> = boolean extends I ? never : I;
type Text<I> = Date extends I ? never : string extends I ? string : never;

/**
 * A filter over the entity's fields: `{done: false, $or: [{rank: {$gt: 3}}, {due: null}]}`. What
 * may be asked of a field follows from its kind. See docs/queries.md.
 *
 * `Related` is what may be asked of related rows, by the names of relations: nothing, on a client.
 */
export type FilterOf<E, Related = unknown> = {
  readonly [K in keyof FieldsOf<E>]?: Condition<TraitsOf<E, K>["input"]>;
} & {
  readonly id?: Condition<string>;
  readonly $and?: readonly FilterOf<E, Related>[];
  readonly $or?: readonly FilterOf<E, Related>[];
  readonly $not?: FilterOf<E, Related>;
} & Related;

/** The declared relations of an entity. */
export type RelationOf<E> = E extends { readonly __relations?: infer R }
  ? R extends readonly (infer One extends ManifestRelation)[]
    ? string extends One["name"]
      ? never
      : One
    : never
  : never;

/**
 * Declares an entity: a kind of row.
 *
 * @throws Error for what is not a field, naming entity, field and remedy
 *
 * @example
 * const Todo = entity("Todo", { title: field.string(), done: field.bool() }, {
 *   indexes: [{ name: "by_done", fields: ["done"], unique: false }],
 * });
 */
export function entity<
  const N extends string,
  F extends Fields,
  const R extends readonly ManifestRelation[] = readonly [],
>(name: N, fields: F, options: EntityOptions<R> = {}): Entity<N, F, R> {
  checkParts(name, fields, options);
  const { indexes = [], relations, search, crdt, ...rest } = options;
  return {
    ...unknownKeys(rest),
    name,
    fields: Object.entries(fields).map(([fieldName, definition]) =>
      checkedField(`${name}.${fieldName}`, fieldName, definition).toManifest(fieldName),
    ),
    indexes,
    ...(relations === undefined ? {} : { relations }),
    ...(search === undefined ? {} : { search: { text: [], facets: [], sortable: [], ...search } }),
    ...(crdt === undefined ? {} : { crdt }),
  };
}

function checkParts(name: unknown, fields: unknown, options: unknown): void {
  const example = 'entity("Todo", { title: field.string() })';
  if (typeof name !== "string")
    throw new Error(`An entity begins with its name, not ${shown(name)}: ${example}.`);
  if (typeof fields !== "object" || fields === null || Array.isArray(fields))
    throw new Error(
      `The fields of ${name} are ${shown(fields)}, and must be an object: ${example}.`,
    );
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new Error(
      `What ${name} has besides its fields is ${shown(options)}, and must be an object: { ` +
        "indexes: [...] }.",
    );
}

/** @throws Error that names entity, field and remedy */
function checkedField(label: string, name: string, definition: unknown): Field<FieldTraits> {
  const mistake = mistakeOf(definition);
  if (mistake !== undefined) {
    // It keeps the place where the mistake was made.
    mistake.message = `${label}: ${mistake.message}`;
    throw mistake;
  }
  if (isField(definition)) return definition;
  const kinds = Object.keys(field);
  if (typeof definition === "function")
    throw new Error(`${label} is a function: write ${name}: field.string(), with parentheses.`);
  if (typeof definition !== "string" || kinds.includes(definition)) {
    const kind = typeof definition === "string" ? definition : "string";
    throw new Error(
      `${label} is ${shown(definition)}, not a field: write ${name}: field.${kind}().`,
    );
  }
  throw new Error(
    `${label} is ${shown(definition)}, not a field: write ${name}: field.string(), or ` +
      `another kind. ${suggestion(definition, kinds)}`,
  );
}

/** Also for a field of another copy of this package. */
function isField(definition: unknown): definition is Field<FieldTraits> {
  return isObject(definition) && typeof definition["toManifest"] === "function";
}
