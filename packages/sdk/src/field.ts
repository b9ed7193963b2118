import type {
  CrdtKind,
  Json,
  ManifestField,
  ManifestFieldType,
  ManifestItem,
  OnDelete,
  TextFormat,
} from "./manifest.ts";
import { isObject, isWrittenName, mistakenField, mistakeOf, shown, suggestion } from "./mistake.ts";

/** What the compiler knows of a field: its value and what a row may leave out. */
export interface FieldTraits {
  readonly value: unknown;
  /** What a write and a filter may name for it. */
  readonly input: unknown;
  readonly optional: boolean;
  readonly hasDefault: boolean;
  readonly readonly: boolean;
  readonly owner: boolean;
  /** Clients never see it. */
  readonly hidden: boolean;
  /** The server writes it at each write, and nobody else does. */
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
  /** Never set: carries the type. */
  declare readonly traits: T;
  readonly #definition: Omit<ManifestField, "name">;

  constructor(definition: Omit<ManifestField, "name">) {
    this.#definition = definition;
  }

  /** The value may be absent; then it is null. */
  optional(): Field<With<T, "optional">> {
    return this.#with({ optional: true });
  }
  /** No two rows have the same value; null does not count. */
  unique(): Field<T> {
    return this.#with({ unique: true });
  }
  /**
   * What an insert takes that does not name the field, and what rows get that were there before the
   * field. `"now"` of a datetime is the time of the write; `"uuid"` of a string is a new UUID.
   */
  default<V extends T["value"] & Exclude<Json, null>>(value: V): Field<With<T, "hasDefault">> {
    return this.#with({ default: value });
  }
  /** Set at insert, refused in an update. */
  readonly(): Field<With<T, "readonly">> {
    return this.#with({ readonly: true });
  }
  /**
   * The server sets it to the caller's user id at insert; only an admin names or changes it.
   */
  owner(): Field<With<T, "owner">> {
    return this.#with({ owner: true });
  }
  /**
   * Never leaves the server for callers: not in a row, and nobody can filter, sort or count by it.
   * Server functions and policies see it.
   */
  hidden(): Field<With<T, "hidden">> {
    return this.#with({ hidden: true });
  }
  /** The least number; of a text the least count of characters, of an array that of items. */
  min(least: number): Field<T> {
    return this.#mistakeInLimit("min", least) ?? this.#with({ min: least });
  }
  /** The largest number; of a text the largest count of characters, of an array that of items. */
  max(most: number): Field<T> {
    return this.#mistakeInLimit("max", most) ?? this.#with({ max: most });
  }
  /** Of a text: exactly so many characters. */
  length(characters: number): Field<T> {
    return (
      this.#mistakeInText("length") ??
      this.#mistakeInLimit("length", characters) ??
      this.#with({ min: characters, max: characters })
    );
  }
  /**
   * Of a text: it must have a match of the expression, which is to be a whole one with `^` and `$`.
   *
   * @param expression its only flags are `i` and `u`
   */
  pattern(expression: RegExp): Field<T> {
    return this.#mistakeInPattern(expression) ?? this.#with(patternOf(expression));
  }
  /** How concurrent edits of this field are merged in collaborative documents. */
  crdt(kind: CrdtKind): Field<T> {
    return this.#with({ crdt: kind });
  }

  /** The field as it stands in the manifest. */
  toManifest(name: string): ManifestField {
    return { name, ...this.#definition };
  }

  static {
    const known = Object.getOwnPropertyNames(this.prototype).filter(
      (name) => name !== "constructor" && name !== "toManifest",
    );
    // What a field does not have is looked for here at last.
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
    return new Field<U>({ ...this.#definition, ...change });
  }

  #mistakeInLimit(name: string, limit: unknown): Field<T> | undefined {
    const { type } = this.#definition;
    if (!TEXTS.has(type) && !["int", "float", "array"].includes(type))
      return mistaken(`.${name}() is for texts, numbers and arrays, and this is a ${type}.`);
    if (typeof limit === "number" && Number.isFinite(limit)) return undefined;
    return mistaken(`.${name}() takes a number, not ${shown(limit)}: write .${name}(3).`);
  }

  #mistakeInText(name: string): Field<T> | undefined {
    const { type } = this.#definition;
    return TEXTS.has(type)
      ? undefined
      : mistaken(`.${name}() is for texts, and this is ${type === "int" ? "an" : "a"} ${type}.`);
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
      : mistaken(`.pattern() takes the flags i and u, and was given "${other}": leave it out.`);
  }
}

/** The kinds that count their characters. */
const TEXTS: ReadonlySet<string> = new Set(["string", "richtext"]);

function patternOf({ source, ignoreCase, unicode }: RegExp): Partial<ManifestField> {
  const flags = ignoreCase ? (unicode ? "iu" : "i") : unicode ? "u" : undefined;
  return { pattern: source, ...(flags === undefined ? {} : { pattern_flags: flags }) };
}

interface Plain<V, I = V> extends FieldTraits {
  readonly value: V;
  readonly input: I;
  readonly optional: false;
  readonly hasDefault: false;
  readonly readonly: false;
  readonly owner: false;
  readonly hidden: false;
  readonly stamped: false;
}

type StampTraits = Omit<Plain<string>, "stamped"> & { readonly stamped: true };

/** What `timestamps: true` adds to an entity. */
export type TimestampFields = {
  readonly createdAt: Field<StampTraits>;
  readonly updatedAt: Field<StampTraits>;
};

/** The fields that the server stamps; each row that was there before them gets the time it is. */
export function timestampFields(): readonly ManifestField[] {
  const stamped = { type: "datetime", optional: false, unique: false, default: "now" } as const;
  return [
    { name: "createdAt", ...stamped, timestamp: "created" },
    { name: "updatedAt", ...stamped, timestamp: "updated" },
  ];
}

function plain<V, I = V>(type: ManifestFieldType): () => Field<Plain<V, I>> {
  // The compiler refuses arguments; an app in JavaScript would have its options ignored.
  return (...options: readonly unknown[]) =>
    mistakeInPlain<Plain<V, I>>(options) ??
    new Field<Plain<V, I>>({ type, optional: false, unique: false });
}

/** A field that says what is wrong with it once `entity` names it. */
function mistaken<T extends FieldTraits>(message: string): Field<T> {
  return mistakenField(new Field<T>({ type: "string", optional: false, unique: false }), message);
}

function mistakeInPlain<T extends FieldTraits>([option]: readonly unknown[]): Field<T> | undefined {
  if (option === undefined) return undefined;
  return mistaken(
    `a field of this kind takes no options, and was given ${shown(option)}: ` +
      "write what it is as calls, such as field.string().optional().",
  );
}

/**
 * What a file field accepts; the server refuses other uploads.
 *
 * @example
 * const avatar = field.file({ accept: ["image/*"], maxBytes: 5 * 1024 * 1024 });
 */
export interface FileOptions {
  /**
   * The media types that may be stored: exact ones such as `application/pdf`, or families such as
   * `image/*`. Default: any.
   */
  readonly accept?: readonly string[];
  /** The largest size, in bytes. Default: the server's limit. */
  readonly maxBytes?: number;
}

const FILE_OPTIONS = ["accept", "maxBytes"];

/** Checks what the compiler checks too, for an app that is written in JavaScript. */
function mistakeInFile(options: unknown): Field<Plain<string>> | undefined {
  if (typeof options !== "object" || options === null)
    return mistaken(`field.file takes { accept, maxBytes }, not ${shown(options)}.`);
  const unknown = Object.keys(options).find((key) => !FILE_OPTIONS.includes(key));
  if (unknown === undefined) return undefined;
  return mistaken(`field.file has no option "${unknown}". ${suggestion(unknown, FILE_OPTIONS)}`);
}

/** A string with a rule of its own, whose fields are made without arguments. */
function formatted(format: TextFormat): () => Field<Plain<string>> {
  return (...options: readonly unknown[]) =>
    mistakeInPlain<Plain<string>>(options) ??
    new Field<Plain<string>>({ type: "string", optional: false, unique: false, format });
}

function mistakeInValues(values: unknown): Field<Plain<never>> | undefined {
  const isList = Array.isArray(values) && values.length > 0;
  if (isList && values.every((value) => typeof value === "string")) return undefined;
  return mistaken(
    `field.enum takes a list of texts, not ${isList ? "this list" : shown(values)}: ` +
      'write field.enum(["open", "done"]).',
  );
}

/**
 * How large the bytes of a field may be.
 *
 * @example
 * const fingerprint = field.bytes({ maxBytes: 32 });
 */
export interface BytesOptions {
  /** The largest size, in bytes. Default: 65536. Keep larger content in a file. */
  readonly maxBytes?: number;
}

function mistakeInBytes(options: unknown): Field<Plain<string>> | undefined {
  if (typeof options !== "object" || options === null)
    return mistaken(`field.bytes takes { maxBytes }, not ${shown(options)}.`);
  const unknown = Object.keys(options).find((key) => key !== "maxBytes");
  if (unknown === undefined) return undefined;
  return mistaken(`field.bytes has no option "${unknown}". ${suggestion(unknown, ["maxBytes"])}`);
}

const ITEM_TYPES = new Set(["string", "int", "float", "bool", "datetime"]);
const ITEM_KEYS = new Set(["type", "enum", "format", "min", "max", "pattern", "pattern_flags"]);

/** Also for a field of another copy of this package. */
export function isField(definition: unknown): definition is Field {
  return isObject(definition) && typeof definition["toManifest"] === "function";
}

/** What a field of items is, or what is wrong with it. */
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
  if (optional || unique || modifier !== undefined)
    return "the items of an array have rules, such as .max(20), and no other modifiers.";
  return item;
}

/** A validator of `@pylonsync/functions`. */
interface ValueSchema<T> {
  readonly type: string;
  readonly __type?: T;
}

function mistakeInSchema(schema: unknown): Field<Plain<never>> | undefined {
  if (schema === undefined || (isObject(schema) && typeof schema["type"] === "string"))
    return undefined;
  return mistaken(
    `field.json takes a validator, not ${shown(schema)}: write field.json(v.object({ ... })), ` +
      "with v of @pylonsync/functions.",
  );
}

function mistakeInTarget(entity: unknown): Field<Plain<string>> | undefined {
  if (typeof entity === "string" && entity !== "") return undefined;
  const isEntity = typeof entity === "object" && entity !== null && "name" in entity;
  const name = isEntity && typeof entity.name === "string" ? entity.name : "User";
  return mistaken(
    `field.id takes the name of an entity, not ${shown(entity)}: write field.id("${name}").`,
  );
}

/**
 * What becomes of a row when the row that it refers to is deleted. Without it the field is not
 * checked, and may hold any id.
 *
 * @example
 * const messageId = field.id("Message", { onDelete: "cascade" });
 */
export interface ReferenceOptions {
  /**
   * - `restrict`: the other row can't be deleted
   * - `cascade`: this row is deleted too
   * - `setNull`: the field becomes null
   */
  readonly onDelete?: OnDelete;
}

const ON_DELETE: readonly string[] = ["restrict", "cascade", "setNull"];

function mistakeInReference(entity: string, options: unknown): Field<Plain<string>> | undefined {
  const example = `write field.id("${entity}", { onDelete: "cascade" }).`;
  if (!isObject(options))
    return mistaken(`field.id takes { onDelete }, not ${shown(options)}: ${example}`);
  const unknown = Object.keys(options).find((key) => key !== "onDelete");
  if (unknown !== undefined)
    return mistaken(`field.id has no option "${unknown}". ${suggestion(unknown, ["onDelete"])}`);
  const { onDelete } = options;
  if (onDelete === undefined || ON_DELETE.some((known) => known === onDelete)) return undefined;
  return mistaken(`onDelete is ${shown(onDelete)}, and must be one of ${ON_DELETE.join(", ")}.`);
}

/** Says of a kind that does not exist which one was probably meant. */
function withSuggestions<K extends object>(kinds: K): K {
  return new Proxy(kinds, {
    get: (target, name, receiver) =>
      name in target || !isWrittenName(name)
        ? Reflect.get(target, name, receiver)
        : () => mistaken(`there is no field.${name}(). ${suggestion(name, Object.keys(target))}`),
  });
}

/**
 * The kinds of fields.
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
  /** A whole number within JavaScript's safe range. */
  int: plain<number>("int"),
  float: plain<number>("float"),
  /** As `float`. */
  number: plain<number>("float"),
  bool: plain<boolean>("bool"),
  /** As `bool`. */
  boolean: plain<boolean>("bool"),
  /** ISO 8601, or a `Date` where a page or a function writes it; kept in UTC with milliseconds. */
  datetime: plain<string, string | Date>("datetime"),
  /** One of the given texts; types follow to rows, inserts and filters. */
  enum: <const V extends readonly [string, ...string[]]>(values: V): Field<Plain<V[number]>> =>
    mistakeInValues(values) ??
    new Field<Plain<V[number]>>({
      type: "string",
      optional: false,
      unique: false,
      enum: [...values],
    }),
  /** An address of the web: `https://...` or `http://...`. */
  url: formatted("url"),
  /** An email address. */
  email: formatted("email"),
  /** A day without a time, as `2026-01-31`. */
  date: formatted("date"),
  /** A few bytes, as base64. */
  bytes: (options: BytesOptions = {}): Field<Plain<string>> =>
    mistakeInBytes(options) ??
    new Field<Plain<string>>({
      type: "string",
      optional: false,
      unique: false,
      format: "bytes",
      ...(options.maxBytes === undefined ? {} : { max_bytes: options.maxBytes }),
    }),
  /** An object or a list as JSON has it; with a validator, its type follows. */
  json: <T = Json>(schema?: ValueSchema<T>): Field<Plain<T>> =>
    mistakeInSchema(schema) ??
    new Field<Plain<T>>({
      type: "json",
      optional: false,
      unique: false,
      ...(schema === undefined ? {} : { schema }),
    }),
  /** A list of texts, numbers, bools or datetimes; its items may have rules of their own. */
  array: <I extends FieldTraits>(
    of: Field<I>,
  ): Field<Plain<I["value"][], readonly I["input"][]>> => {
    const items = itemOf(of);
    if (typeof items === "string") return mistaken(items);
    return new Field({ type: "array", optional: false, unique: false, items });
  },
  /** A long text; collaborative by default. */
  richtext: plain<string>("richtext"),
  /**
   * The id of a row of another entity. With `onDelete` it is checked: it is always the id of a row
   * that is there.
   */
  id: (entity: string, options: ReferenceOptions = {}): Field<Plain<string>> =>
    mistakeInTarget(entity) ??
    mistakeInReference(entity, options) ??
    new Field<Plain<string>>({
      type: `id(${entity})`,
      optional: false,
      unique: false,
      ...(options.onDelete === undefined ? {} : { on_delete: options.onDelete }),
    }),
  /**
   * The id of an uploaded file, which those who may read the row may then read. One file
   * belongs to one row.
   */
  file: (options: FileOptions = {}): Field<Plain<string>> => {
    const mistake = mistakeInFile(options);
    if (mistake !== undefined) return mistake;
    const { accept, maxBytes } = options;
    return new Field<Plain<string>>({
      type: "file",
      optional: false,
      unique: false,
      ...(accept === undefined ? {} : { accept }),
      ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
    });
  },
} as const);
