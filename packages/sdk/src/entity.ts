import {
  field,
  isField,
  timestampFields,
  type Field,
  type FieldTraits,
  type TimestampFields,
} from "./field.ts";
import type {
  ManifestEntity,
  ManifestField,
  ManifestIndex,
  ManifestRelation,
  ManifestSearch,
} from "./manifest.ts";
import { mistakeOf, shown, suggestion, unknownKeys } from "./mistake.ts";

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
  /**
   * True: rows have `createdAt` and `updatedAt`, which the server alone writes. Each change of a
   * row makes its `updatedAt` later.
   */
  readonly timestamps?: boolean;
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
type IsInserted<T extends FieldTraits> = T["stamped"] extends true ? false : true;
type Fixed<T extends FieldTraits> = true extends T["readonly"] | T["owner"] | T["stamped"]
  ? true
  : false;
type Flat<T> = { [K in keyof T]: T[K] };

/** A row as it is read. An optional field is null when it has no value. */
export type RowOf<E> = Flat<
  { readonly id: string } & { readonly [K in keyof FieldsOf<E>]: ValueOf<TraitsOf<E, K>> }
>;

type Shown<E> = {
  [K in keyof FieldsOf<E>]: TraitsOf<E, K>["hidden"] extends true ? never : K;
}[keyof FieldsOf<E>];

/** A row as clients see it: without hidden fields. */
export type ClientRowOf<E> = Flat<
  { readonly id: string } & { readonly [K in Shown<E>]: ValueOf<TraitsOf<E, K>> }
>;

/** What an insert takes. The id may be chosen by the caller. */
export type InsertOf<E> = Flat<
  { readonly id?: string } & {
    readonly [
      K in keyof FieldsOf<E> as MayBeAbsent<TraitsOf<E, K>> extends true
        ? never
        : IsInserted<TraitsOf<E, K>> extends true
          ? K
          : never
    ]: InputOf<TraitsOf<E, K>>;
  } & {
    readonly [
      K in keyof FieldsOf<E> as MayBeAbsent<TraitsOf<E, K>> extends true
        ? IsInserted<TraitsOf<E, K>> extends true
          ? K
          : never
        : never
    ]?: InputOf<TraitsOf<E, K>> | undefined;
  }
>;

/** What an update takes. */
export type PatchOf<E> = Flat<{
  readonly [K in keyof FieldsOf<E> as Fixed<TraitsOf<E, K>> extends true ? never : K]?:
    | InputOf<TraitsOf<E, K>>
    | undefined;
}>;

/** What a field of a filter is compared with; null asks for rows without a value. */
type Condition<I> = [I] extends [string | number | boolean | Date]
  ? I | null | Operators<I>
  : null | Presence;

/** What may be asked of a json or an array: whether there is one. */
interface Presence {
  readonly $eq?: null;
  readonly $ne?: null;
  readonly $not?: null;
  readonly $exists?: boolean;
}

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

/** As FilterOf, for callers: by no hidden field. */
export type ClientFilterOf<E> = {
  readonly [K in Shown<E>]?: Condition<TraitsOf<E, K>["input"]>;
} & {
  readonly id?: Condition<string>;
  readonly $and?: readonly ClientFilterOf<E>[];
  readonly $or?: readonly ClientFilterOf<E>[];
  readonly $not?: ClientFilterOf<E>;
};

type Stamps<F extends Fields, T extends boolean> = T extends true ? F & TimestampFields : F;

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
  const T extends boolean = false,
>(
  name: N,
  fields: F,
  options: EntityOptions<R> & { readonly timestamps?: T } = {},
): Entity<N, Stamps<F, T>, R> {
  checkParts(name, fields, options);
  const { indexes = [], relations, search, crdt, timestamps, ...rest } = options;
  return {
    ...unknownKeys(rest),
    name,
    fields: [
      ...Object.entries(fields).map(([fieldName, definition]) =>
        checkedField(`${name}.${fieldName}`, fieldName, definition).toManifest(fieldName),
      ),
      ...stamps(name, fields, timestamps),
    ],
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

/** @throws Error for what is not true or false, and for a field that would be there twice */
function stamps(name: string, fields: Fields, timestamps: unknown): readonly ManifestField[] {
  if (timestamps === undefined || timestamps === false) return [];
  if (timestamps !== true)
    throw new Error(`timestamps of ${name} is ${shown(timestamps)}: write timestamps: true.`);
  const added = timestampFields();
  const own = added.find((stamp) => Object.hasOwn(fields, stamp.name));
  if (own === undefined) return added;
  throw new Error(
    `${name}.${own.name} is a field of its own, and timestamps: true adds it too: remove one.`,
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
