import type { CrdtKind, ManifestField, ManifestFieldType } from "./manifest.ts";
import { isWrittenName, mistakenField, shown, suggestion } from "./mistake.ts";

/** What the compiler knows of a field: its value and what a row may leave out. */
export interface FieldTraits {
  readonly value: unknown;
  /** What a write and a filter may name for it. */
  readonly input: unknown;
  readonly optional: boolean;
  readonly hasDefault: boolean;
  readonly readonly: boolean;
  readonly owner: boolean;
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
   * field.
   */
  default(value: T["value"] & (string | number | boolean)): Field<With<T, "hasDefault">> {
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
}

interface Plain<V, I = V> extends FieldTraits {
  readonly value: V;
  readonly input: I;
  readonly optional: false;
  readonly hasDefault: false;
  readonly readonly: false;
  readonly owner: false;
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

function mistakeInTarget(entity: unknown): Field<Plain<string>> | undefined {
  if (typeof entity === "string" && entity !== "") return undefined;
  const isEntity = typeof entity === "object" && entity !== null && "name" in entity;
  const name = isEntity && typeof entity.name === "string" ? entity.name : "User";
  return mistaken(
    `field.id takes the name of an entity, not ${shown(entity)}: write field.id("${name}").`,
  );
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
  /** A long text; collaborative by default. */
  richtext: plain<string>("richtext"),
  /** The id of a row of another entity. */
  id: (entity: string): Field<Plain<string>> =>
    mistakeInTarget(entity) ??
    new Field<Plain<string>>({ type: `id(${entity})`, optional: false, unique: false }),
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
