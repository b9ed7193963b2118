import type { RelationKind, ReplicaSchemaMessage, Row } from "@pylonsync/protocol";
import {
  applyPlainOperator,
  dateText,
  plainOperatorOf,
  type EntityShape,
  type Expr,
  type ParsedFilter,
} from "@pylonsync/query";
import type { ListSource } from "./included-list.ts";
import type { IncludeOptions, LiveList } from "./live-query.ts";
import type { LocalStore } from "./local-store.ts";

/** The values of a row, or of a write. */
export type Fields = Readonly<Record<string, unknown>>;

/** What a replica knows of the fields and relations of its entities. */
export interface Schema {
  /** The original message, to be stored with the replica. */
  readonly message: ReplicaSchemaMessage;
  /** Undefined for an unknown entity. */
  shape(entity: string): EntityShape | undefined;
  /** Null for an unknown entity or relation. */
  relation(entity: string, name: string): RelationKind | null;
  /** Whether both are equal. */
  equals(other: Schema): boolean;
  /**
   * Converts the values of a pending write as the server will: normalized dates and decimals, and
   * sums. Values that it will reject are not changed.
   *
   * @param row the row to update; null for an insert
   */
  normalised(entity: string, data: Fields, row: Fields | null): Fields;
  /** Whether an update contains relative operations. */
  hasOperators(entity: string, data: Fields): boolean;
  /** The parts of queries that need a schema; null without one. */
  readonly queries: SchemaQueries | null;
}

/** The parts of queries that need a schema. A page loads their code with the first schema. */
export interface SchemaQueries {
  /** @throws QueryError if a value does not match its field */
  parse(filter: Fields, store: LocalStore, entity: string): ParsedFilter;
  /** The entities of the related rows that a filter tests. */
  relatedEntities(where: Expr): readonly string[];
  /**
   * Tests rows by the related rows in the replica.
   *
   * @param isMember returns whether the row is in the server's result
   */
  relatedTest(
    where: Expr,
    store: LocalStore,
    isMember: (id: string) => boolean,
  ): (row: Row) => boolean;
  /** Joins rows with related rows. */
  join(store: LocalStore, entity: string, include: IncludeOptions, source: ListSource): LiveList;
}

/** For a server that does not send a schema, and before the first snapshot. */
export const NO_SCHEMA: Schema = {
  message: {},
  shape: () => undefined,
  relation: () => null,
  equals: (other) => Object.keys(other.message).length === 0,
  // Values that look like operators are treated as operators.
  normalised: (_entity, data, row) =>
    withValues(data, (name, value) => {
      const operator = row === null ? undefined : plainOperatorOf(value);
      if (operator !== undefined) return applyPlainOperator(operator, row?.[name]);
      return value instanceof Date ? (dateText(value) ?? value) : value;
    }),
  hasOperators: (_entity, data) =>
    Object.values(data).some((value) => plainOperatorOf(value) !== undefined),
  queries: null,
};

/** Converts values. @returns the same object if none changes */
export function withValues(data: Fields, convert: (name: string, value: unknown) => unknown) {
  let result: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(data)) {
    const converted = convert(name, value);
    if (converted === value) continue;
    result ??= { ...data };
    result[name] = converted;
  }
  return result ?? data;
}
