import type {
  EntityName,
  RegisteredClientFilters,
  RegisteredEntities,
  RegisteredRelations,
  RegisteredRows,
  RegisteredServerFilters,
} from "./register.ts";

/** Where a query runs. On a client, hidden fields are not available. */
type Side = "server" | "client";
type RowsOf<S extends Side> = S extends "server" ? RegisteredEntities : RegisteredRows;
type FiltersOf<S extends Side> = S extends "server"
  ? RegisteredServerFilters
  : RegisteredClientFilters;

type RelationsOf<E> = E extends keyof RegisteredRelations ? RegisteredRelations[E] : never;
type TargetOf<R> = R extends { readonly target: infer T extends EntityName } ? T : EntityName;
type FieldsOf<E, S extends Side> = E extends keyof RowsOf<S> ? keyof RowsOf<S>[E] & string : string;

interface Asked<E extends EntityName, S extends Side> {
  readonly where?: FiltersOf<S>[E];
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly order?: { readonly [F in FieldsOf<E, S>]?: "asc" | "desc" };
  /** Related rows of the related rows, in the same form. */
  readonly include?: IncludeOf<E, S>;
}

/** Options for related rows; `limit` applies per parent row. */
type AskedOf<R, S extends Side> =
  | true
  | (R extends { readonly many: true }
      ? Asked<TargetOf<R>, S> & { readonly limit?: number }
      : Asked<TargetOf<R>, S>);

/**
 * The related rows to include in the result of a query, by relation: `{author: true, reactions:
 * {where: {kind: "like"}, order: {createdAt: "desc"}, limit: 20}}`.
 */
export type IncludeOf<E extends EntityName, S extends Side = "client"> = Includes<S>[E];
/** Looked up by name, because the compiler's message about a typo then lists the relations. */
type Includes<S extends Side> = {
  readonly [E in EntityName]: {
    readonly [N in keyof RelationsOf<E>]?: AskedOf<RelationsOf<E>[N], S>;
  };
};

/** Rejects names that are not relations or fields, which an inferred type would accept. */
export type OnlyRelations<E extends EntityName, I, S extends Side = "client"> = {
  readonly [N in keyof I]: N extends keyof RelationsOf<E>
    ? OnlyKnown<TargetOf<RelationsOf<E>[N]>, I[N], S>
    : never;
};

type OnlyKnown<E extends EntityName, A, S extends Side> = A extends object
  ? {
      readonly [K in keyof A]: K extends "include"
        ? OnlyRelations<E, A[K], S>
        : K extends "where"
          ? OnlyFields<A[K], keyof FiltersOf<S>[E]>
          : A[K];
    }
  : A;

type OnlyFields<W, Known> = W extends object
  ? { readonly [F in keyof W]: F extends Known ? W[F] : never }
  : W;

type InnerOf<I> = I extends { readonly include: infer J } ? J : unknown;

/** A row of a query's result, with the included related rows. */
export type Included<E extends EntityName, I, S extends Side = "client"> = RowsOf<S>[E] & {
  readonly [N in keyof I & keyof RelationsOf<E>]: RelationsOf<E>[N] extends { readonly many: true }
    ? Included<TargetOf<RelationsOf<E>[N]>, InnerOf<I[N]>, S>[]
    : Included<TargetOf<RelationsOf<E>[N]>, InnerOf<I[N]>, S> | null;
};
