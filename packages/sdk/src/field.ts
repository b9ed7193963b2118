import type { CrdtKind, ManifestField, ManifestFieldType } from "./manifest.ts";

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

/** A field of an entity. Immutable: each modifier returns a new one. */
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
   * The server sets it to the caller's user id at insert; nobody but an admin names or changes it.
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
  return () => new Field<Plain<V, I>>({ type, optional: false, unique: false });
}

/**
 * What may be stored in a file field; the server refuses other uploads.
 *
 * @example
 * field.file({ accept: ["image/*"], maxBytes: 5 * 1024 * 1024 })
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

/**
 * The kinds of fields.
 *
 * @example entity("Todo", { title: field.string(), done: field.bool().default(false), ownerId:
 *   field.id("User") })
 */
export const field = {
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
  id: (entity: string) =>
    new Field<Plain<string>>({ type: `id(${entity})`, optional: false, unique: false }),
  /**
   * The id of an uploaded file, which can then be read by whoever may read the row. One file
   * belongs to one row.
   */
  file: ({ accept, maxBytes }: FileOptions = {}) =>
    new Field<Plain<string>>({
      type: "file",
      optional: false,
      unique: false,
      ...(accept === undefined ? {} : { accept }),
      ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
    }),
} as const;
