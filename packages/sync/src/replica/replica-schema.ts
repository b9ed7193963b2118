import type { ReplicaSchemaMessage } from "@pylonsync/protocol";
import { isFieldKind, normaliseValue, type EntityShape, type FieldKind } from "@pylonsync/query";

type Fields = Readonly<Record<string, unknown>>;

/**
 * What a replica knows of its entities: the kind of each field, as the server told it with the
 * snapshot. With it a filter means the same here as on the server.
 */
export class ReplicaSchema {
  /** Of a server that does not tell, and before the first snapshot. */
  static readonly UNKNOWN = new ReplicaSchema({});
  /** As it came, to be kept with the replica. */
  readonly message: ReplicaSchemaMessage;
  readonly #shapes: ReadonlyMap<string, EntityShape>;

  private constructor(message: ReplicaSchemaMessage) {
    this.message = message;
    this.#shapes = new Map(
      Object.entries(message).map(([name, kinds]) => [name, { name, fields: fieldsOf(kinds) }]),
    );
  }

  /** @param message undefined where the server or an older replica tells nothing */
  static of(message: ReplicaSchemaMessage | undefined): ReplicaSchema {
    return message === undefined ? ReplicaSchema.UNKNOWN : new ReplicaSchema(message);
  }

  /** Undefined for an entity of which nothing is known. */
  shape(entity: string): EntityShape | undefined {
    return this.#shapes.get(entity);
  }

  /** Whether both say the same. */
  equals(other: ReplicaSchema): boolean {
    return (
      this.message === other.message ||
      JSON.stringify(this.message) === JSON.stringify(other.message)
    );
  }

  /**
   * What the server will make of the values of a write that is still on its way: dates in their
   * normal form. What it will refuse stays as it is.
   */
  normalised(entity: string, data: Fields): Fields {
    const fields = this.#shapes.get(entity)?.fields;
    let result: Record<string, unknown> | undefined;
    for (const [name, value] of Object.entries(data)) {
      if (!(value instanceof Date) && fields?.get(name) !== "datetime") continue;
      const normal = normaliseValue("datetime", value);
      if (normal.ok && normal.value !== value) {
        result ??= { ...data };
        result[name] = normal.value;
      }
    }
    return result ?? data;
  }
}

/**
 * A newer server may have kinds that this client does not know: nothing is known of such a field.
 */
function fieldsOf(kinds: Readonly<Record<string, string>>): ReadonlyMap<string, FieldKind> {
  const fields = new Map<string, FieldKind>([["id", "id"]]);
  for (const [name, kind] of Object.entries(kinds)) if (isFieldKind(kind)) fields.set(name, kind);
  return fields;
}
