import { relationIn, type RelationKind, type ReplicaSchemaMessage } from "@pylonsync/protocol";
import {
  applyFieldOperator,
  fieldOperatorOf,
  isFieldKind,
  normaliseValue,
  type EntityShape,
  type FieldKind,
  type FieldOperator,
} from "@pylonsync/query";

type Fields = Readonly<Record<string, unknown>>;

/**
 * The field types of a replica's entities, as sent by the server with the snapshot. With them,
 * filters work exactly as on the server.
 */
export class ReplicaSchema {
  /** For a server that does not send them, and before the first snapshot. */
  static readonly UNKNOWN = new ReplicaSchema({});
  /** The original message, to be stored with the replica. */
  readonly message: ReplicaSchemaMessage;
  readonly #shapes: ReadonlyMap<string, EntityShape>;

  private constructor(message: ReplicaSchemaMessage) {
    this.message = message;
    this.#shapes = new Map(
      Object.entries(message).map(([name, kinds]) => [name, { name, fields: fieldsOf(kinds) }]),
    );
  }

  /** @param message undefined if the server or an older replica has none */
  static of(message: ReplicaSchemaMessage | undefined): ReplicaSchema {
    return message === undefined ? ReplicaSchema.UNKNOWN : new ReplicaSchema(message);
  }

  /** Undefined for an unknown entity. */
  shape(entity: string): EntityShape | undefined {
    return this.#shapes.get(entity);
  }

  /** Null for an unknown entity or relation. */
  relation(entity: string, name: string): RelationKind | null {
    return relationIn(this.message, entity, name);
  }

  /** Whether both are equal. */
  equals(other: ReplicaSchema): boolean {
    return (
      this.message === other.message ||
      JSON.stringify(this.message) === JSON.stringify(other.message)
    );
  }

  /**
   * Converts the values of a pending write as the server will: normalized dates and decimals, and
   * sums. Values that it will reject are not changed.
   *
   * @param row the row to update; null for an insert
   */
  normalised(entity: string, data: Fields, row: Fields | null): Fields {
    const fields = this.#shapes.get(entity)?.fields;
    let result: Record<string, unknown> | undefined;
    for (const [name, value] of Object.entries(data)) {
      const normal = normalisedValue(fields?.get(name), value, row?.[name], row !== null);
      if (normal === value) continue;
      result ??= { ...data };
      result[name] = normal;
    }
    return result ?? data;
  }

  /** Whether an update contains relative operations. */
  hasOperators(entity: string, data: Fields): boolean {
    const fields = this.#shapes.get(entity)?.fields;
    return Object.entries(data).some(
      ([name, value]) => operatorIn(fields?.get(name), value) !== undefined,
    );
  }
}

function normalisedValue(
  kind: FieldKind | undefined,
  value: unknown,
  current: unknown,
  isUpdate: boolean,
): unknown {
  const operator = isUpdate ? operatorIn(kind, value) : undefined;
  if (operator !== undefined) return applyFieldOperator(operator, current);
  const form = kind === "decimal" ? kind : "datetime";
  if (form !== kind && !(value instanceof Date)) return value;
  const normal = normaliseValue(form, value);
  return normal.ok ? normal.value : value;
}

/** For an unknown field, values that look like operators are treated as operators. */
function operatorIn(kind: FieldKind | undefined, value: unknown): FieldOperator | undefined {
  if (kind !== undefined) return fieldOperatorOf(kind, value);
  return fieldOperatorOf("float", value) ?? fieldOperatorOf("array", value);
}

/**
 * A newer server may have types that this client does not know: such fields are treated as unknown.
 */
function fieldsOf(kinds: Readonly<Record<string, string>>): ReadonlyMap<string, FieldKind> {
  const fields = new Map<string, FieldKind>([["id", "id"]]);
  for (const [name, kind] of Object.entries(kinds)) if (isFieldKind(kind)) fields.set(name, kind);
  return fields;
}
