import {
  arrayOfItems,
  relationIn,
  type RelationKind,
  type ReplicaSchemaMessage,
} from "@pylonsync/protocol";
import {
  applyFieldOperator,
  fieldOperatorOf,
  isFieldKind,
  isScalarKind,
  normaliseValue,
  parseLocalFilter,
  plainOperatorOf,
  relatedEntities,
  type EntityShape,
  type FieldKind,
  type FieldOperator,
  type ScalarKind,
} from "@pylonsync/query";
import { IncludedList } from "./included-list.ts";
import { relatedTest, relationsIn } from "./related-filter.ts";
import { NO_SCHEMA, withValues, type Fields, type Schema, type SchemaQueries } from "./schema.ts";

const QUERIES: SchemaQueries = {
  parse: (filter, store, entity) =>
    parseLocalFilter(filter, store.shape(entity), relationsIn(store, entity)),
  relatedEntities,
  relatedTest,
  join: (store, entity, include, source) => new IncludedList(store, entity, include, source),
};

/**
 * The field types of a replica's entities, as sent by the server with the snapshot. With them,
 * filters work exactly as on the server. A page loads this code together with the code that
 * receives a schema.
 *
 * @example
 * const store = new LocalStore();
 * store.describe(ReplicaSchema.of({ Todo: { title: "string", done: "bool" } }));
 */
export class ReplicaSchema implements Schema {
  readonly message: ReplicaSchemaMessage;
  readonly queries = QUERIES;
  readonly #shapes: ReadonlyMap<string, EntityShape>;

  private constructor(message: ReplicaSchemaMessage) {
    this.message = message;
    this.#shapes = new Map(
      Object.entries(message).map(([name, kinds]) => [name, shapeOf(name, kinds)]),
    );
  }

  /** @param message undefined if the server or an older replica has none */
  static of(message: ReplicaSchemaMessage | undefined): Schema {
    return message === undefined ? NO_SCHEMA : new ReplicaSchema(message);
  }

  shape(entity: string): EntityShape | undefined {
    return this.#shapes.get(entity);
  }

  relation(entity: string, name: string): RelationKind | null {
    return relationIn(this.message, entity, name);
  }

  equals(other: Schema): boolean {
    return (
      this.message === other.message ||
      JSON.stringify(this.message) === JSON.stringify(other.message)
    );
  }

  normalised(entity: string, data: Fields, row: Fields | null): Fields {
    const fields = this.#shapes.get(entity)?.fields;
    return withValues(data, (name, value) =>
      normalisedValue(fields?.get(name), value, row?.[name], row !== null),
    );
  }

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
  return kind === undefined ? plainOperatorOf(value) : fieldOperatorOf(kind, value);
}

/**
 * A newer server may have types that this client does not know: such fields are treated as unknown.
 */
function shapeOf(name: string, kinds: Readonly<Record<string, string>>): EntityShape {
  const fields = new Map<string, FieldKind>([["id", "id"]]);
  const items = new Map<string, ScalarKind>();
  for (const [key, kind] of Object.entries(kinds)) {
    const array = arrayOfItems(key);
    if (array === null && isFieldKind(kind)) fields.set(key, kind);
    if (array !== null && isScalarKind(kind)) items.set(array, kind);
  }
  return { name, fields, items };
}
