import type { Claims } from "@pylonsync/query";
import type {
  AggregateResult,
  EntityName,
  Included,
  IncludeOf,
  OnlyRelations,
  RegisteredEntities,
  RegisteredInserts,
  RegisteredPatches,
  RegisteredRelations,
} from "@pylonsync/sdk";
import type {
  AggregateSpec,
  FilterOn,
  GraphQuery,
  PageOf,
  PageOptions,
  SearchResult,
  SearchSpec,
} from "./db-queries.ts";

/** The user on whose behalf `ctx.db.as` reads and writes; `ctx.auth` is one. */
export interface ActingUser {
  /** Null: an anonymous caller. */
  readonly userId: string | null;
  /** True: policies do not apply. */
  readonly isAdmin?: boolean;
  readonly isGuest?: boolean;
  readonly tenantId?: string | null;
  readonly roles?: readonly string[];
  readonly claims?: Claims;
}

/**
 * Reads rows. Policies do not apply in functions: check `ctx.auth`, or use `as` to read on behalf
 * of a user.
 */
export interface DbReader {
  /**
   * Returns a reader with the permissions of a user: policies apply, and hidden fields are omitted.
   *
   * @param user a user id, without roles and tenant, or an identity such as `ctx.auth`
   * @throws Error INVALID_ARGS
   * @example const mine = await ctx.db.as(ctx.auth).query("Todo");
   */
  as(user: string | ActingUser): DbReader;
  /** Returns a row; null for a null id. */
  get<E extends EntityName>(entity: E, id: string | null): Promise<RegisteredEntities[E] | null>;
  list<E extends EntityName>(entity: E): Promise<RegisteredEntities[E][]>;
  /** Returns the first row, by id, whose field has this value; null for a null value. */
  lookup<E extends EntityName>(
    entity: E,
    field: keyof RegisteredEntities[E] & string,
    value: string | number | boolean | Date | null,
  ): Promise<RegisteredEntities[E] | null>;
  query<E extends EntityName>(entity: E, filter?: FilterOn<E>): Promise<RegisteredEntities[E][]>;
  /**
   * Like `query`, with related rows under the names of their relations, loaded by one statement per
   * level: `$include: {author: true, reactions: {order: {createdAt: "desc"}, limit: 20}}`.
   */
  query<E extends EntityName, const I extends IncludeOf<E, "server">>(
    entity: E,
    filter: FilterOn<E> & { readonly $include: I & OnlyRelations<E, I, "server"> },
  ): Promise<Included<E, I, "server">[]>;
  count<E extends EntityName>(entity: E, filter?: FilterOn<E>): Promise<number>;
  /**
   * Returns one object per group, or one for all rows: `count`, `sum_field`, `avg_field`,
   * `min_field`, `max_field`, `countDistinct_field`, and each grouped field under its own name.
   */
  aggregate<E extends EntityName, const S extends AggregateSpec<E>>(
    entity: E,
    spec: S & AggregateSpec<E>,
  ): Promise<AggregateResult<RegisteredEntities[E], S>[]>;
  /** Full-text search with facet counts, for entities that declare `search`. */
  search<E extends EntityName>(
    entity: E,
    spec?: SearchSpec<E>,
  ): Promise<SearchResult<RegisteredEntities[E]>>;
  /**
   * Returns a page of the rows that match `where`, in any order. Each row appears once, even during
   * concurrent writes. A cursor of another query fails with INVALID_QUERY.
   */
  paginate<E extends EntityName>(
    entity: E,
    options?: PageOptions<E>,
  ): Promise<PageOf<RegisteredEntities[E]>>;
  /** Like `paginate`, with related rows as in `query`. */
  paginate<E extends EntityName, const I extends IncludeOf<E, "server">>(
    entity: E,
    options: PageOptions<E> & { readonly include: I & OnlyRelations<E, I, "server"> },
  ): Promise<PageOf<Included<E, I, "server">>>;
  /**
   * Queries a graph: `{Todo: {where?, order?, include?: {owner: {}}, limit?}}` returns rows with
   * their related rows under the relation's name.
   */
  queryGraph(graph: GraphQuery): Promise<Record<string, Record<string, unknown>[]>>;
}

/** A condition on the row that a write changes. */
export interface WriteOptions<E extends EntityName> {
  /** Fields with the values that they must still have, such as those that a page has shown. */
  readonly ifUnchanged?: { readonly [F in keyof RegisteredEntities[E]]?: RegisteredEntities[E][F] };
}

/** Reads and writes rows in the mutation's transaction; reads see its own writes. */
export interface DbWriter extends DbReader {
  /** Returns a writer with the permissions of a user, in the same transaction. */
  as(user: string | ActingUser): DbWriter;
  /** @returns the new row's id */
  insert<E extends EntityName>(entity: E, data: RegisteredInserts[E]): Promise<string>;
  /**
   * Updates a row. Numbers and arrays can be changed relative to their value: `{likes: {$increment:
   * 1}}`, `{tags: {$append: ["new"]}}`.
   *
   * @returns whether the row existed
   * @throws Error ROW_CHANGED if it does not match `ifUnchanged`
   * @example
   * const { updatedAt } = args;
   * await ctx.db.update("Note", id, { text }, { ifUnchanged: { updatedAt } });
   */
  update<E extends EntityName>(
    entity: E,
    id: string,
    patch: RegisteredPatches[E],
    options?: WriteOptions<E>,
  ): Promise<boolean>;
  /**
   * Updates the row with the same value of a unique field, or inserts a new row.
   *
   * @param by a unique field, the fields of a unique index, or `id`
   * @param data the data for an insert
   * @param update the patch for an existing row; default: the changeable fields of `data`
   * @example
   * await ctx.db.upsert("Visit", "path", { path, n: 1 }, { n: { $increment: 1 } });
   */
  upsert<E extends EntityName>(
    entity: E,
    by: keyof RegisteredEntities[E] | readonly (keyof RegisteredEntities[E])[],
    data: RegisteredInserts[E],
    update?: RegisteredPatches[E],
  ): Promise<{ readonly id: string; readonly created: boolean }>;
  /**
   * @returns whether the row was there
   * @throws Error ROW_CHANGED if it does not match `ifUnchanged`
   */
  delete<E extends EntityName>(entity: E, id: string, options?: WriteOptions<E>): Promise<boolean>;
  link<E extends EntityName>(
    entity: E,
    id: string,
    relation: keyof RegisteredRelations[E] & string,
    targetId: string,
  ): Promise<boolean>;
  unlink<E extends EntityName>(
    entity: E,
    id: string,
    relation: keyof RegisteredRelations[E] & string,
  ): Promise<boolean>;
}
