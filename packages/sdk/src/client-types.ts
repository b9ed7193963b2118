import type { OnlyRelations } from "./include.ts";
import type { EntityName, RegisteredClientFilters, RegisteredRows } from "./register.ts";

/**
 * A filter over an entity's fields: `{done: false, $or: [{rank: {$gt: 3}}, {due: null}]}`. For a
 * registered app, field names and value types are checked.
 */
export type EntityFilter<E extends EntityName> = RegisteredClientFilters[E];

/** The filter, the order and the limit of a live query. */
export interface EntityQueryOptions<E extends EntityName> {
  readonly where?: EntityFilter<E> | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly orderBy?: { readonly [Field in keyof RegisteredRows[E]]?: "asc" | "desc" } | undefined;
  readonly limit?: number | undefined;
}

/** `EntityQueryOptions` with related rows to include. */
export interface IncludingOptions<E extends EntityName, I> extends EntityQueryOptions<E> {
  /** `{author: true, reactions: {order: {createdAt: "desc"}, limit: 20}}` */
  readonly include?: I & OnlyRelations<E, I>;
}

/**
 * An entity name in a call with an explicit type, such as `useQuery<Todo>("Todo")`. Without an
 * explicit type this is `never`, so that an unknown name is still a compile error.
 */
export type NameFor<T> = [T] extends [never] ? never : string;

/** The arguments of a call. They may be omitted if none is required. */
export type CallArgs<A> = Record<never, never> extends A ? [args?: A] : [args: A];
