import type {
  CrdtKind,
  Json,
  ManifestField,
  ManifestFieldType,
  ManifestItem,
  OnDelete,
  TextFormat,
} from "./manifest.ts";
import {
  withFieldCode,
  type DefaultContext,
  type FieldCode,
  type StoredFields,
} from "./field-code.ts";
import { isObject, isWrittenName, mistakenField, mistakeOf, shown, suggestion } from "./mistake.ts";

/** The type-level properties of a field: its value, and whether a row may omit it. */
export interface FieldTraits {
  readonly value: unknown;
  /** The values that a write or a filter may use. */
  readonly input: unknown;
  readonly optional: boolean;
  readonly hasDefault: boolean;
  readonly readonly: boolean;
  readonly owner: boolean;
  /** Never sent to clients. */
  readonly hidden: boolean;
  /** Only the server writes it, at each write. */
  readonly stamped: boolean;
}

type With<T extends FieldTraits, K extends keyof FieldTraits> = {
  [P in keyof FieldTraits]: P extends K ? true : T[P];
} & FieldTraits;

/**
 * A field of an entity. Immutable: each modifier returns a new field.
 *
 * @example
 * const email = field.string().unique().optional();
 */
export class Field<T extends FieldTraits = FieldTraits> {
  /** Never set at runtime; carries the type. */
  declare readonly traits: T;
  /** Whether the entity gets an index of this field. */
  readonly isIndexed: boolean;
  readonly #definition: Omit<ManifestField, "name">;
  readonly #code: FieldCode | undefined;

  constructor(definition: Omit<ManifestField, "name">, code?: FieldCode, isIndexed = false) {
    this.#definition = definition;
    this.#code = code;
    this.isIndexed = isIndexed;
  }

  /** Makes the field optional: without a value it is null. */
  optional(): Field<With<T, "optional">> {
    return this.#with({ optional: true });
  }
  /** Requires unique values: no two rows have the same value. Any number of rows may be null. */
  unique(): Field<T> {
    return this.#with({ unique: true });
  }
  /**
   * Creates an index of the field, so that filters and orders by it are fast in large tables. For
   * an index of several fields, use `indexes` of the entity.
   */
  index(): Field<T> {
    return new Field<T>(this.#definition, this.#code, true);
  }
  /**
   * Sets the default: the value for inserts that omit the field, and for rows that existed before
   * the field. `"now"` of a datetime is the time of the write; `"uuid"` of a string is a new UUID.
   *
   * A function is called on the server at each such insert. It must be synchronous. For rows that
   * existed before the field, it is called only if the field is required.
   *
   * @example
   * const code = field.string().default(() => Math.random().toString(36).slice(2, 8));
   * const authorId = field.string().optional().default(({ auth }) => auth.userId);
   */
  default<V extends T["value"] & Exclude<Json, null>>(
    value: V | ((context: DefaultContext) => T["input"] | null),
  ): Field<With<T, "hasDefault">> {
    if (typeof value !== "function")
      return new Field(
        { ...without(this.#definition, "default_by_code"), default: value },
        this.#code,
        this.isIndexed,
      );
    const definition = { ...without(this.#definition, "default"), default_by_code: true as const };
    return new Field(definition, { ...this.#code, default: value }, this.isIndexed);
  }
  /**
   * Computes the value on the server from the other fields of the row, at each write, and stores
   * it: filters, sorting, indexes and live queries can use it. Writes that set it are rejected.
   *
   * @param make receives the row as it is written, including computed fields that are declared
   *   before; must be synchronous and depend only on the row
   * @param options.version changing it recomputes the values of all rows at the next migration, as
   *   changing the function's source does; use it when code that the function calls changes
   *
   * @example
   * const Line = entity("Line", {
   *   price: field.int(),
   *   count: field.int(),
   *   total: field.int().computed((row) => Number(row.price) * Number(row.count)),
   * });
   */
  computed(
    make: (row: StoredFields) => T["input"] | null,
    options: { readonly version?: number } = {},
  ): Field<With<T, "stamped">> {
    const example = "write .computed((row) => row.first).";
    if (typeof make !== "function")
      return mistaken(`.computed() takes a function, not ${shown(make)}: ${example}`);
    const { version, ...rest } = options;
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined)
      return mistaken(
        `.computed() has no option "${unknown}". ${suggestion(unknown, ["version"])}`,
      );
    if (this.#code?.backfill !== undefined)
      return mistaken("a computed field needs no .backfill(): remove it.");
    if (version !== undefined && !Number.isSafeInteger(version))
      return mistaken(`version of .computed() is ${shown(version)}, and must be a whole number.`);
    return new Field(
      { ...this.#definition, computed: true },
      { ...this.#code, computed: make, computedVersion: version },
      this.isIndexed,
    );
  }
  /** Makes the field immutable: set at insert, rejected in an update. */
  readonly(): Field<With<T, "readonly">> {
    return this.#with({ readonly: true });
  }
  /**
   * Sets the field to the caller's user id at insert. Only an admin may set it to another value or
   * change it.
   */
  owner(): Field<With<T, "owner">> {
    return this.#with({ owner: true });
  }
  /**
   * Hides the field from callers: it is never sent to them, and they can't filter, sort or count by
   * it. Server functions and policies can read it.
   */
  hidden(): Field<With<T, "hidden">> {
    return this.#with({ hidden: true });
  }
  /** Sets the minimum: of a number its value, of a string its characters, of an array its items. */
  min(least: number): Field<T> {
    return this.#mistakeInLimit("min", least) ?? this.#with({ min: least });
  }
  /** Sets the maximum: of a number its value, of a string its characters, of an array its items. */
  max(most: number): Field<T> {
    return this.#mistakeInLimit("max", most) ?? this.#with({ max: most });
  }
  /** Sets the exact number of characters of a string. */
  length(characters: number): Field<T> {
    return (
      this.#mistakeInText("length") ??
      this.#mistakeInLimit("length", characters) ??
      this.#with({ min: characters, max: characters })
    );
  }
  /**
   * Requires that a string matches the expression. Use `^` and `$` to match the whole string.
   *
   * @param expression a regular expression; only the flags `i` and `u` are supported
   */
  pattern(expression: RegExp): Field<T> {
    return this.#mistakeInPattern(expression) ?? this.#with(patternOf(expression));
  }
  /** Sets how concurrent edits of this field are merged in collaborative documents. */
  crdt(kind: CrdtKind): Field<T> {
    return this.#with({ crdt: kind });
  }
  /**
   * Declares the previous name of the field, whose values are kept. While this is declared, clients
   * may still write, filter and read by the previous name. Call it again for each older name.
   *
   * @example
   * const title = field.string().renamedFrom("name");
   */
  renamedFrom(name: string): Field<T> {
    if (typeof name !== "string" || name === "")
      return mistaken(
        `.renamedFrom() takes the old name, not ${shown(name)}: write .renamedFrom("title").`,
      );
    return this.#with({ renamed_from: [...(this.#definition.renamed_from ?? []), name] });
  }
  /**
   * Converts stored values when the type of the field changes. Without it, a change of type is
   * rejected. Null stays null.
   *
   * @param make receives a stored value; if it throws, or returns a value that is invalid for the
   *   field, the type is not changed for any row
   *
   * @example
   * const cents = field.int().convert((price: string) => Math.round(Number(price) * 100));
   */
  convert<V extends Exclude<Json, null>>(make: (value: V) => T["input"] | null): Field<T> {
    if (typeof make !== "function")
      return mistaken(
        `.convert() takes a function, not ${shown(make)}: write .convert((old) => Number(old)).`,
      );
    return this.#withCode({ convert: (value) => make(value as V) });
  }
  /**
   * Computes the value of a new field for existing rows. It runs when the database is migrated, a
   * few hundred rows at a time, and resumes after a crash.
   *
   * @param make receives the row; must return a valid value for the field
   *
   * @example
   * const slug = field.string().backfill((row) => String(row.title).toLowerCase());
   */
  backfill(make: (row: StoredFields) => T["input"]): Field<T> {
    if (typeof make !== "function")
      return mistaken(
        `.backfill() takes a function, not ${shown(make)}: write .backfill((row) => row.title).`,
      );
    if (this.#definition.type === "encrypted")
      return mistaken(
        "an encrypted field can't have .backfill(), because a migration has no key: " +
          "make it .optional(), and write its values in a data migration.",
      );
    return this.#withCode({ backfill: make });
  }

  /** Returns the field's entry in the manifest. */
  toManifest(name: string): ManifestField {
    const field = { name, ...this.#definition };
    return this.#code === undefined ? field : withFieldCode(field, this.#code);
  }

  static {
    const known = Object.getOwnPropertyNames(this.prototype).filter(
      (name) => name !== "constructor" && name !== "toManifest",
    );
    // The end of the prototype chain: catches calls of methods that a field does not have.
    Object.setPrototypeOf(
      this.prototype,
      new Proxy(Object.prototype, {
        get: (target, name, receiver) =>
          name in target || !isWrittenName(name)
            ? Reflect.get(target, name, receiver)
            : () => mistaken(`a field has no .${name}(). ${suggestion(name, known)}`),
      }),
    );
  }

  #with<U extends FieldTraits>(change: Partial<ManifestField>): Field<U> {
    return new Field<U>({ ...this.#definition, ...change }, this.#code, this.isIndexed);
  }

  #withCode(code: FieldCode): Field<T> {
    if (code.backfill !== undefined && this.#code?.computed !== undefined)
      return mistaken("a computed field needs no .backfill(): remove it.");
    return new Field<T>(this.#definition, { ...this.#code, ...code }, this.isIndexed);
  }

  #mistakeInLimit(name: string, limit: unknown): Field<T> | undefined {
    const { type } = this.#definition;
    if (!TEXTS.has(type) && !["int", "float", "decimal", "array"].includes(type))
      return mistaken(`.${name}() is for strings, numbers and arrays, and this is a ${type}.`);
    if (typeof limit === "number" && Number.isFinite(limit)) return undefined;
    return mistaken(`.${name}() takes a number, not ${shown(limit)}: write .${name}(3).`);
  }

  #mistakeInText(name: string): Field<T> | undefined {
    const { type } = this.#definition;
    return TEXTS.has(type)
      ? undefined
      : mistaken(`.${name}() is for strings, and this is ${type === "int" ? "an" : "a"} ${type}.`);
  }

  #mistakeInPattern(expression: unknown): Field<T> | undefined {
    const wrongKind = this.#mistakeInText("pattern");
    if (wrongKind !== undefined) return wrongKind;
    if (!(expression instanceof RegExp))
      return mistaken(
        `.pattern() takes a regular expression, not ${shown(expression)}: ` +
          "write .pattern(/^[a-z]+$/).",
      );
    const other = expression.flags.replaceAll(/[iu]/g, "");
    return other === ""
      ? undefined
      : mistaken(`.pattern() supports the flags i and u, not "${other}": remove it.`);
  }
}

/** The types whose length is counted in characters. */
const TEXTS: ReadonlySet<string> = new Set(["string", "richtext", "encrypted"]);

function without<K extends keyof ManifestField>(
  definition: Omit<ManifestField, "name">,
  key: K,
): Omit<ManifestField, "name"> {
  const rest: Omit<ManifestField, "name"> = { ...definition };
  Reflect.deleteProperty(rest, key);
  return rest;
}

function patternOf({ source, ignoreCase, unicode }: RegExp): Partial<ManifestField> {
  const flags = ignoreCase ? (unicode ? "iu" : "i") : unicode ? "u" : undefined;
  return { pattern: source, ...(flags === undefined ? {} : { pattern_flags: flags }) };
}

/** The properties of a field without modifiers. Declarations of apps name this type. */
export interface PlainTraits<V, I = V> extends FieldTraits {
  readonly value: V;
  readonly input: I;
  readonly optional: false;
  readonly hasDefault: false;
  readonly readonly: false;
  readonly owner: false;
  readonly hidden: false;
  readonly stamped: false;
}

/** The properties of an optional field. Declarations of apps name this type. */
export interface OptionalTraits<V, I = V> extends Omit<PlainTraits<V, I>, "optional"> {
  readonly optional: true;
}

/** The properties of a field that an insert may omit. Declarations of apps name this type. */
export interface DefaultedTraits<V, I = V> extends Omit<PlainTraits<V, I>, "hasDefault"> {
  readonly hasDefault: true;
}

type StampTraits = Omit<PlainTraits<string>, "stamped"> & { readonly stamped: true };

/** The fields that `timestamps: true` adds to an entity. */
export type TimestampFields = {
  readonly createdAt: Field<StampTraits>;
  readonly updatedAt: Field<StampTraits>;
};

/**
 * Returns the fields that the server stamps. Rows that existed before them get the current time.
 */
export function timestampFields(): readonly ManifestField[] {
  const stamped = { type: "datetime", optional: false, unique: false, default: "now" } as const;
  return [
    { name: "createdAt", ...stamped, timestamp: "created" },
    { name: "updatedAt", ...stamped, timestamp: "updated" },
  ];
}

function plain<V, I = V>(type: ManifestFieldType): () => Field<PlainTraits<V, I>> {
  // The compiler rejects arguments; in a JavaScript app, options would be ignored silently.
  return (...options: readonly unknown[]) =>
    mistakeInPlain<PlainTraits<V, I>>(options) ??
    new Field<PlainTraits<V, I>>({ type, optional: false, unique: false });
}

/** Returns a placeholder field. `entity` reports its error. */
function mistaken<T extends FieldTraits>(message: string): Field<T> {
  return mistakenField(new Field<T>({ type: "string", optional: false, unique: false }), message);
}

function mistakeInPlain<T extends FieldTraits>([option]: readonly unknown[]): Field<T> | undefined {
  if (option === undefined) return undefined;
  return mistaken(
    `a field of this type takes no options, but received ${shown(option)}: ` +
      "use modifiers instead, such as field.string().optional().",
  );
}

/**
 * Restrictions of a file field; the server rejects other uploads.
 *
 * @example
 * const avatar = field.file({ accept: ["image/*"], maxBytes: 5 * 1024 * 1024 });
 */
export interface FileOptions {
  /**
   * The allowed media types: exact ones such as `application/pdf`, or groups such as `image/*`.
   * Default: any.
   */
  readonly accept?: readonly string[];
  /** The maximum size, in bytes. Default: the server's limit. */
  readonly maxBytes?: number;
}

const FILE_OPTIONS = ["accept", "maxBytes"];

/** Repeats the compiler's checks for apps that are written in JavaScript. */
function mistakeInFile(options: unknown): Field<PlainTraits<string>> | undefined {
  if (typeof options !== "object" || options === null)
    return mistaken(`field.file takes { accept, maxBytes }, not ${shown(options)}.`);
  const unknown = Object.keys(options).find((key) => !FILE_OPTIONS.includes(key));
  if (unknown === undefined) return undefined;
  return mistaken(`field.file has no option "${unknown}". ${suggestion(unknown, FILE_OPTIONS)}`);
}

/** Returns a constructor of string fields with a format. */
function formatted(format: TextFormat): () => Field<PlainTraits<string>> {
  return (...options: readonly unknown[]) =>
    mistakeInPlain<PlainTraits<string>>(options) ??
    new Field<PlainTraits<string>>({ type: "string", optional: false, unique: false, format });
}

function mistakeInValues(values: unknown): Field<PlainTraits<never>> | undefined {
  const isList = Array.isArray(values) && values.length > 0;
  if (isList && values.every((value) => typeof value === "string")) return undefined;
  return mistaken(
    `field.enum takes a list of strings, not ${isList ? "this list" : shown(values)}: ` +
      'write field.enum(["open", "done"]).',
  );
}

/**
 * The options of `field.bytes`.
 *
 * @example
 * const fingerprint = field.bytes({ maxBytes: 32 });
 */
export interface BytesOptions {
  /** The maximum size, in bytes. Default: 65536. Use a file for larger content. */
  readonly maxBytes?: number;
}

function mistakeInBytes(options: unknown): Field<PlainTraits<string>> | undefined {
  if (typeof options !== "object" || options === null)
    return mistaken(`field.bytes takes { maxBytes }, not ${shown(options)}.`);
  const unknown = Object.keys(options).find((key) => key !== "maxBytes");
  if (unknown === undefined) return undefined;
  return mistaken(`field.bytes has no option "${unknown}". ${suggestion(unknown, ["maxBytes"])}`);
}

function mistakeInDigits(
  precision: unknown,
  scale: unknown,
): Field<PlainTraits<string, string | number>> | undefined {
  if (typeof precision === "number" && typeof scale === "number") return undefined;
  return mistaken(
    `field.decimal takes two numbers, not ${shown(precision)} and ${shown(scale)}: ` +
      "write field.decimal(12, 2) for 12 digits, 2 of them after the decimal point.",
  );
}

const ITEM_TYPES = new Set(["string", "int", "float", "bool", "datetime"]);
const ITEM_KEYS = new Set(["type", "enum", "format", "min", "max", "pattern", "pattern_flags"]);

/** Whether a value is a field, also of another copy of this package. */
export function isField(definition: unknown): definition is Field {
  return isObject(definition) && typeof definition["toManifest"] === "function";
}

/** Returns the item type of an array field, or an error message. */
function itemOf(of: unknown): ManifestItem | string {
  const mistake = mistakeOf(of);
  if (mistake !== undefined) return mistake.message;
  if (!isField(of))
    return `field.array takes a field, not ${shown(of)}: write field.array(field.string()).`;
  const { name: _, optional, unique, ...item } = of.toManifest("");
  if (!ITEM_TYPES.has(item.type))
    return (
      `the items of an array are ${[...ITEM_TYPES].join(", ")}, and not ${item.type}: ` +
      "use field.json()."
    );
  const modifier = Object.keys(item).find((key) => !ITEM_KEYS.has(key) && key !== "max_bytes");
  if (optional || unique || of.isIndexed || modifier !== undefined)
    return "the items of an array support limits, such as .max(20), and no other modifiers.";
  return item;
}

/** A validator of `@pylonsync/functions`. */
interface ValueSchema<T> {
  readonly type: string;
  readonly __type?: T;
}

function mistakeInSchema(schema: unknown): Field<PlainTraits<never>> | undefined {
  if (schema === undefined || (isObject(schema) && typeof schema["type"] === "string"))
    return undefined;
  return mistaken(
    `field.json takes a validator, not ${shown(schema)}: write field.json(v.object({ ... })), ` +
      "with v from @pylonsync/functions.",
  );
}

function mistakeInTarget(entity: unknown): Field<PlainTraits<string>> | undefined {
  if (typeof entity === "string" && entity !== "") return undefined;
  const isEntity = typeof entity === "object" && entity !== null && "name" in entity;
  const name = isEntity && typeof entity.name === "string" ? entity.name : "User";
  return mistaken(
    `field.id takes the name of an entity, not ${shown(entity)}: write field.id("${name}").`,
  );
}

/**
 * What happens to a row when the row that it refers to is deleted. Without it the reference is not
 * checked, and the field may hold any id, unless the app has `references: "checked"`.
 *
 * @example
 * const messageId = field.id("Message", { onDelete: "cascade" });
 */
export interface ReferenceOptions {
  /** False: the field may hold any id, even in an app with `references: "checked"`. */
  readonly checked?: false;
  /**
   * - `restrict`: the other row can't be deleted.
   * - `cascade`: this row is deleted too.
   * - `setNull`: the field is set to null.
   */
  readonly onDelete?: OnDelete;
}

const ON_DELETE: readonly string[] = ["restrict", "cascade", "setNull"];
const REFERENCE_OPTIONS = ["onDelete", "checked"];

/**
 * Marks the field of a reference that is never checked. A global symbol, so that other copies of
 * this package recognize it.
 */
const UNCHECKED = Symbol.for("pylon.unchecked");

/** Returns the field with a reference that is checked, unless it is declared otherwise. */
export function withCheckedReference(field: ManifestField): ManifestField {
  const isReference = field.type.startsWith("id(") && field.on_delete === undefined;
  return isReference && !(UNCHECKED in field) ? { ...field, on_delete: "restrict" } : field;
}

function mistakeInReference(
  entity: string,
  options: unknown,
): Field<PlainTraits<string>> | undefined {
  const example = `write field.id("${entity}", { onDelete: "cascade" }).`;
  if (!isObject(options))
    return mistaken(`field.id takes { onDelete }, not ${shown(options)}: ${example}`);
  const unknown = Object.keys(options).find((key) => !REFERENCE_OPTIONS.includes(key));
  if (unknown !== undefined)
    return mistaken(
      `field.id has no option "${unknown}". ${suggestion(unknown, REFERENCE_OPTIONS)}`,
    );
  const { onDelete, checked } = options;
  if (checked !== undefined && (checked !== false || onDelete !== undefined))
    return mistaken(
      `checked can only be false, without onDelete. For a checked reference, ${example}`,
    );
  if (onDelete === undefined || ON_DELETE.some((known) => known === onDelete)) return undefined;
  return mistaken(`onDelete is ${shown(onDelete)}, and must be one of ${ON_DELETE.join(", ")}.`);
}

/** Throws for an unknown field type, and suggests the closest one. */
function withSuggestions<K extends object>(kinds: K): K {
  return new Proxy(kinds, {
    get: (target, name, receiver) =>
      name in target || !isWrittenName(name)
        ? Reflect.get(target, name, receiver)
        : () => mistaken(`there is no field.${name}(). ${suggestion(name, Object.keys(target))}`),
  });
}

/**
 * The field types.
 *
 * @example
 * const Todo = entity("Todo", {
 *   title: field.string(),
 *   done: field.bool().default(false),
 *   ownerId: field.id("User"),
 * });
 */
export const field = withSuggestions({
  string: plain<string>("string"),
  /** An integer within JavaScript's safe range. */
  int: plain<number>("int"),
  float: plain<number>("float"),
  /**
   * An exact decimal number, such as an amount of money: a string like `"12.5"`, without trailing
   * zeros. A write or a filter may also use a number.
   *
   * @param precision the maximum number of digits in total; at most 36
   * @param scale the maximum number of digits after the decimal point; at most 18, and at most 18
   *   remain before it
   * @example field.decimal(12, 2).min(0)
   */
  decimal: (precision: number, scale: number): Field<PlainTraits<string, string | number>> =>
    mistakeInDigits(precision, scale) ??
    new Field<PlainTraits<string, string | number>>({
      type: "decimal",
      optional: false,
      unique: false,
      precision,
      scale,
    }),
  /** The same as `float`. */
  number: plain<number>("float"),
  bool: plain<boolean>("bool"),
  /** The same as `bool`. */
  boolean: plain<boolean>("bool"),
  /**
   * A time in ISO 8601; pages and functions may also write a `Date`. Stored in UTC with
   * milliseconds.
   */
  datetime: plain<string, string | Date>("datetime"),
  /** One of the given strings; rows, inserts and filters are typed accordingly. */
  enum: <const V extends readonly [string, ...string[]]>(
    values: V,
  ): Field<PlainTraits<V[number]>> =>
    mistakeInValues(values) ??
    new Field<PlainTraits<V[number]>>({
      type: "string",
      optional: false,
      unique: false,
      enum: [...values],
    }),
  /** An `http://` or `https://` URL. */
  url: formatted("url"),
  /** An email address. */
  email: formatted("email"),
  /** A date without a time, such as `2026-01-31`. */
  date: formatted("date"),
  /** A small amount of binary data, as base64. */
  bytes: (options: BytesOptions = {}): Field<PlainTraits<string>> =>
    mistakeInBytes(options) ??
    new Field<PlainTraits<string>>({
      type: "string",
      optional: false,
      unique: false,
      format: "bytes",
      ...(options.maxBytes === undefined ? {} : { max_bytes: options.maxBytes }),
    }),
  /** Any JSON object or array. With a validator, its type is derived. */
  json: <T = Json>(schema?: ValueSchema<T>): Field<PlainTraits<T>> =>
    mistakeInSchema(schema) ??
    new Field<PlainTraits<T>>({
      type: "json",
      optional: false,
      unique: false,
      ...(schema === undefined ? {} : { schema }),
    }),
  /** A list of strings, numbers, bools or datetimes; the items may have limits. */
  array: <I extends FieldTraits>(
    of: Field<I>,
  ): Field<PlainTraits<I["value"][], readonly I["input"][]>> => {
    const items = itemOf(of);
    if (typeof items === "string") return mistaken(items);
    return new Field({ type: "array", optional: false, unique: false, items });
  },
  /** A long text, collaborative by default. */
  richtext: plain<string>("richtext"),
  /**
   * A text that is encrypted in the database, such as a tax number. Functions, and callers who may
   * read it, get the plain text; filters, orders, indexes and policies can't use it. Requires
   * `PYLON_SSO_ENCRYPTION_KEY` outside of dev mode.
   *
   * @example field.encrypted().max(40)
   */
  encrypted: plain<string>("encrypted"),
  /**
   * The id of a row of another entity. With `onDelete` the reference is enforced: it always refers
   * to an existing row.
   */
  id: (entity: string, options: ReferenceOptions = {}): Field<PlainTraits<string>> =>
    mistakeInTarget(entity) ??
    mistakeInReference(entity, options) ??
    new Field<PlainTraits<string>>({
      type: `id(${entity})`,
      optional: false,
      unique: false,
      ...(options.onDelete === undefined ? {} : { on_delete: options.onDelete }),
      ...(options.checked === false ? { [UNCHECKED]: true } : {}),
    }),
  /**
   * The id of an uploaded file. Users who may read the row may read the file. A file belongs to one
   * row.
   */
  file: (options: FileOptions = {}): Field<PlainTraits<string>> => {
    const mistake = mistakeInFile(options);
    if (mistake !== undefined) return mistake;
    const { accept, maxBytes } = options;
    return new Field<PlainTraits<string>>({
      type: "file",
      optional: false,
      unique: false,
      ...(accept === undefined ? {} : { accept }),
      ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
    });
  },
} as const);
