import type { Append, Increment } from "@pylonsync/query";
import {
  field,
  isField,
  timestampFields,
  type Field,
  type FieldTraits,
  type TimestampFields,
} from "./field.ts";
import type { ManifestEntity, ManifestField, ManifestIndex, ManifestRelation } from "./manifest.ts";
import { mistakeOf, shown, suggestion, unknownKeys } from "./mistake.ts";
import type { Term } from "./policy/term.ts";
import { toManifestSearch, type SearchOptions } from "./search.ts";

/** The fields of an entity, by name. */
export type Fields = Readonly<Record<string, Field<FieldTraits>>>;

/**
 * The options of an entity besides its fields.
 *
 * @example
 * const Task = entity("Task", { title: field.string(), assigneeId: field.id("User") }, {
 *   indexes: [{ name: "by_assignee", fields: ["assigneeId"], unique: false }],
 *   relations: [{ name: "assignee", target: "User", field: "assigneeId" }],
 *   search: { fields: ["title"] },
 * });
 */
export interface EntityOptions<
  R extends readonly ManifestRelation[] = readonly ManifestRelation[],
> {
  /** Indexes for lookups and sorting by several fields, or for unique combinations of values. */
  readonly indexes?: readonly ManifestIndex[];
  /** Related entities that queries may include, each by a field that holds an id. */
  readonly relations?: R;
  /** Full-text search over the rows; see docs/search.md. */
  readonly search?: SearchOptions;
  /** False: disables collaborative documents for this entity. */
  readonly crdt?: boolean;
  /**
   * `"all"`: clients in on-demand mode always sync all rows of this entity that their user may
   * read, up to 100,000, even if no query uses them.
   */
  readonly offline?: "all";
  /**
   * True: rows have `createdAt` and `updatedAt`, which only the server writes; `updatedAt`
   * increases with each change of a row. False: rows don't have them, regardless of the app's
   * `timestamps` option.
   */
  readonly timestamps?: boolean;
  /**
   * The previous name of the entity, or several. Its rows are kept, and while this option is set,
   * clients may still use a previous name.
   */
  readonly renamedFrom?: string | readonly string[];
}

/** A declared entity. It is also its entry in the manifest, and carries the types of its rows. */
export interface Entity<
  N extends string = string,
  F extends Fields = Fields,
  R extends readonly ManifestRelation[] = readonly ManifestRelation[],
> extends ManifestEntity {
  readonly name: N;
  /** Never set at runtime; carries the type. */
  readonly __fields?: F;
  /** Never set at runtime; carries the type. */
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

/** The fields of a row, as policies refer to them. */
export type TermsOf<E> = Flat<
  { readonly id: Term<string> } & {
    readonly [K in keyof FieldsOf<E>]: Term<TraitsOf<E, K>["input"]>;
  }
>;

/** The field names of a declared entity; any name if the entity is given as a string. */
export type FieldNameOf<E> = E extends Entity ? keyof FieldsOf<E> & string : string;

/** A row as the server reads it. An optional field without a value is null. */
export type RowOf<E> = Flat<
  { readonly id: string } & { readonly [K in keyof FieldsOf<E>]: ValueOf<TraitsOf<E, K>> }
>;

type Shown<E> = {
  [K in keyof FieldsOf<E>]: TraitsOf<E, K>["hidden"] extends true ? never : K;
}[keyof FieldsOf<E>];

/** A row as clients receive it: without hidden fields. */
export type ClientRowOf<E> = Flat<
  { readonly id: string } & { readonly [K in Shown<E>]: ValueOf<TraitsOf<E, K>> }
>;

/** The data of an insert. The caller may choose the id. */
export type InsertOf<E> = Flat<
  { readonly id?: string | undefined } & {
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

/** The data of an update: new values, or operations on a number or an array. */
export type PatchOf<E> = Flat<{
  readonly [K in keyof FieldsOf<E> as Fixed<TraitsOf<E, K>> extends true ? never : K]?:
    | InputOf<TraitsOf<E, K>>
    | OperatorOf<TraitsOf<E, K>["input"]>
    | undefined;
}>;
type OperatorOf<I> = [I] extends [number]
  ? Increment
  : [I, number] extends [string | number, I]
    ? Increment<number | string>
    : [I] extends [readonly (infer Item)[]]
      ? Append<Item>
      : never;

/** The condition on a field in a filter; null matches rows without a value. */
type Condition<I> = [I] extends [string | number | boolean | Date]
  ? I | null | Operators<I>
  : null | Contents<I extends readonly (infer Item)[] ? Item : string | number | boolean | Date>;

/** Conditions on a json or array field: whether it has a value, and which items it contains. */
interface Contents<Item> {
  readonly $eq?: null;
  readonly $ne?: null;
  readonly $not?: null;
  readonly $exists?: boolean;
  readonly $has?: Item;
  readonly $hasAny?: readonly Item[];
}

/** Conditions on a value inside a json field, which may be of any type. */
type MemberCondition =
  | string
  | number
  | boolean
  | Date
  | null
  | (Omit<Operators<string | number>, TextOperator> &
      Pick<Operators<string>, TextOperator> & {
        readonly $eq?: boolean | Date | string | number | null;
        readonly $ne?: boolean | Date | string | number | null;
        readonly $has?: string | number | boolean | Date;
        readonly $hasAny?: readonly (string | number | boolean | Date)[];
      });
type TextOperator = "$like" | "$ilike" | "$startsWith" | "$endsWith";

/** The names of json fields. */
type JsonField<E> = {
  readonly [K in keyof FieldsOf<E>]-?: [TraitsOf<E, K>["input"]] extends [
    string | number | boolean | Date | readonly unknown[],
  ]
    ? never
    : K;
}[keyof FieldsOf<E>] &
  string;

/**
 * Conditions on values inside json fields, by paths such as `specs.color`. Without a json field
 * this is not an object type, because TypeScript would then accept any key.
 */
type Members<Field extends string> = [Field] extends [never]
  ? unknown
  : { readonly [P in `${Field}.${string}`]?: MemberCondition };

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
type Text<I> = Date extends I
  ? never
  : number extends I
    ? never
    : string extends I
      ? string
      : never;

/**
 * A filter over the entity's fields: `{done: false, $or: [{rank: {$gt: 3}}, {due: null}]}`. The
 * operators depend on the type of the field. See docs/queries.md.
 *
 * `Related` holds the conditions on related rows, by relation.
 */
export type FilterOf<E, Related = unknown> = {
  readonly [K in keyof FieldsOf<E>]?: Condition<TraitsOf<E, K>["input"]>;
} & Members<JsonField<E>> & {
    readonly id?: Condition<string>;
    readonly $and?: readonly FilterOf<E, Related>[];
    readonly $or?: readonly FilterOf<E, Related>[];
    readonly $not?: FilterOf<E, Related>;
  } & Related;

/** The declared relations of an entity, by name. */
export type RelationOf<E> = E extends { readonly __relations?: infer R }
  ? R extends readonly (infer One extends ManifestRelation)[]
    ? string extends One["name"]
      ? never
      : One
    : never
  : never;

/**
 * `FilterOf` for clients: without hidden fields. A property and not an alias, because the
 * compiler's message about a typo then lists the fields instead of the alias.
 */
export interface ClientFilterOf<E, Related = unknown> {
  readonly fields: {
    readonly [K in Shown<E>]?: Condition<TraitsOf<E, K>["input"]>;
  } & Members<JsonField<E> & Shown<E>> & {
      readonly id?: Condition<string>;
      readonly $and?: readonly ClientFilterOf<E, Related>["fields"][];
      readonly $or?: readonly ClientFilterOf<E, Related>["fields"][];
      readonly $not?: ClientFilterOf<E, Related>["fields"];
    } & Related;
}

type Stamps<F extends Fields, T> = T extends true ? F & TimestampFields : F;

/** Marks the type of an entity with `timestamps: false`. */
interface Unstamped {
  /** Never set at runtime: excludes the entity from the app's `timestamps: true`. */
  readonly __unstamped?: true;
}

/** The type of an entity in an app with `timestamps: true`. */
export type StampedEntity<E> =
  E extends Entity<infer N, infer F, infer R>
    ? "__unstamped" extends keyof E
      ? E
      : Entity<N, F & TimestampFields, R>
    : E;

/**
 * Marks an entity with `timestamps: false`. A global symbol, so that other copies of this package
 * recognize it.
 */
const UNSTAMPED = Symbol.for("pylon.unstamped");

/**
 * Declares an entity: a type of row with named fields, stored in a table of the database.
 *
 * @throws Error for an invalid field; the message names the entity and the field, and says how to
 *   fix it
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
  const T extends boolean | undefined = undefined,
>(
  name: N,
  fields: F,
  options: EntityOptions<R> & { readonly timestamps?: T } = {},
): Entity<N, Stamps<F, T>, R> & (T extends false ? Unstamped : unknown) {
  checkParts(name, fields, options);
  const {
    indexes = [],
    relations,
    search,
    crdt,
    offline,
    timestamps,
    renamedFrom,
    ...rest
  } = options;
  const own = {
    ...unknownKeys(rest),
    name,
    fields: [
      ...Object.entries(fields).map(([fieldName, definition]) =>
        checkedField(`${name}.${fieldName}`, fieldName, definition).toManifest(fieldName),
      ),
      ...stamps(name, fields, timestamps),
    ],
    indexes: withFieldIndexes(indexes, fields),
    ...(relations === undefined ? {} : { relations }),
    ...(search === undefined ? {} : { search: toManifestSearch(name, search) }),
    ...(crdt === undefined ? {} : { crdt }),
    ...(offline === undefined ? {} : { offline }),
    ...(renamedFrom === undefined ? {} : { renamed_from: oldNames(name, renamedFrom) }),
    ...(timestamps === false ? { [UNSTAMPED]: true } : {}),
  };
  return own;
}

/**
 * Adds the fields that the server stamps, unless the entity has them or sets `timestamps: false`.
 *
 * @throws Error if the entity declares a field with the name of a stamped one
 */
export function withStamps<E extends ManifestEntity>(entity: E): E {
  const isStamped = entity.fields.some(({ timestamp }) => timestamp !== undefined);
  if (isStamped || UNSTAMPED in entity) return entity;
  const added = timestampFields();
  const own = added.find((stamp) => entity.fields.some(({ name }) => name === stamp.name));
  if (own === undefined) return { ...entity, fields: [...entity.fields, ...added] };
  throw new Error(
    `${entity.name}.${own.name} is declared as a field, but timestamps: true of the app adds it ` +
      "too. Remove it, or set timestamps: false for the entity.",
  );
}

/** @throws Error for an invalid name */
function oldNames(name: string, renamedFrom: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(renamedFrom) ? renamedFrom : [renamedFrom];
  if (names.every((old) => typeof old === "string")) return names;
  throw new Error(`renamedFrom of ${name} is ${shown(renamedFrom)}: write renamedFrom: "OldName".`);
}

function checkParts(name: unknown, fields: unknown, options: unknown): void {
  const example = 'entity("Todo", { title: field.string() })';
  if (typeof name !== "string")
    throw new Error(
      `The first argument of entity() must be its name, not ${shown(name)}: ${example}.`,
    );
  if (typeof fields !== "object" || fields === null || Array.isArray(fields))
    throw new Error(
      `The fields of ${name} are ${shown(fields)}, and must be an object: ${example}.`,
    );
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new Error(
      `The options of ${name} are ${shown(options)}, and must be an object: { ` +
        "indexes: [...] }.",
    );
}

/**
 * Adds an index for each field with `.index()`, unless an index of that field alone is declared.
 * Invalid indexes are returned as they are: the check of the manifest reports them.
 */
function withFieldIndexes(
  declared: readonly ManifestIndex[],
  fields: Fields,
): readonly ManifestIndex[] {
  const indexed = Object.entries(fields).filter(([, { isIndexed }]) => isIndexed);
  if (indexed.length === 0 || !Array.isArray(declared)) return declared;
  const alone = new Set(declared.map((index) => String(index?.fields)));
  const added = indexed
    .filter(([name]) => !alone.has(name))
    .map(([name]) => ({ name: `by_${name}`, fields: [name], unique: false }));
  return [...declared, ...added];
}

/**
 * @throws Error if the value is not a boolean, or a declared field has the name of a stamped one
 */
function stamps(name: string, fields: Fields, timestamps: unknown): readonly ManifestField[] {
  if (timestamps === undefined || timestamps === false) return [];
  if (timestamps !== true)
    throw new Error(`timestamps of ${name} is ${shown(timestamps)}: write timestamps: true.`);
  const added = timestampFields();
  const own = added.find((stamp) => Object.hasOwn(fields, stamp.name));
  if (own === undefined) return added;
  throw new Error(
    `${name}.${own.name} is declared as a field, but timestamps: true adds it too: remove one.`,
  );
}

/** @throws Error that names the entity and the field, and says how to fix it */
function checkedField(label: string, name: string, definition: unknown): Field<FieldTraits> {
  const mistake = mistakeOf(definition);
  if (mistake !== undefined) {
    const error = new Error(`${label}: ${mistake.message}`);
    // It was created where the field was declared, so its stack trace points there. The field may
    // be declared again, in another entity: it stays as it is.
    error.stack = mistake.stack?.replace(mistake.message, () => error.message) ?? error.message;
    throw error;
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
