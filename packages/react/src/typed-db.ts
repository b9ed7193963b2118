import type { IncludeOptions } from "@pylonsync/sync";
import { db } from "./db.ts";
import type { CallArgs } from "@pylonsync/sdk";
import type { FunctionCalls } from "./mutations.ts";
import { useMutation } from "./mutations.ts";
import { useInfiniteQuery, type InfiniteOptions, type UseInfiniteQueryReturn } from "./pages.ts";
import { useEngine } from "./provider.tsx";
import { useQuery, useQueryOne, type QueryResult, type RowResult } from "./queries.ts";
import { getEngine } from "./client.ts";

/** The types of an app: rows by entity, and functions by name. */
export interface AgentDBSchema {
  readonly entities: object;
  readonly functions: object;
  readonly queries?: object;
}

type Entities<S extends AgentDBSchema> = S["entities"];
type Functions<S extends AgentDBSchema> = S["functions"];
type NameIn<T> = keyof T & string;
type InputOf<F> = F extends { readonly input: infer I } ? I : Readonly<Record<string, unknown>>;
type OutputOf<F> = F extends { readonly output: infer O } ? O : unknown;
type Writable<Row> = Partial<Omit<Row, "id">> & { readonly id?: string };

/** Options of a typed query. */
export interface TypedQueryOptions<Row> {
  /** A filter over the row's fields: `{done: false}`. See docs/queries.md. */
  readonly where?: (Partial<Row> | Readonly<Record<string, unknown>>) | undefined;
  readonly orderBy?: { readonly [Field in keyof Row]?: "asc" | "desc" } | undefined;
  readonly limit?: number | undefined;
  /** Related rows to include, by relation; the row type must declare them. */
  readonly include?: IncludeOptions | undefined;
}

/** The result of `createTypedDb`: `db` with the types of a schema. */
export interface TypedDb<S extends AgentDBSchema> {
  readonly useQuery: <E extends NameIn<Entities<S>>>(
    entity: E,
    options?: TypedQueryOptions<Entities<S>[E]>,
  ) => QueryResult<Entities<S>[E]>;
  readonly useQueryOne: <E extends NameIn<Entities<S>>>(
    entity: E,
    id: string,
  ) => RowResult<Entities<S>[E]>;
  readonly useInfiniteQuery: <E extends NameIn<Entities<S>>>(
    entity: E,
    options?: InfiniteOptions,
  ) => UseInfiniteQueryReturn<Entities<S>[E]>;
  readonly useMutation: <N extends NameIn<Functions<S>>>(
    name: N,
  ) => FunctionCalls<InputOf<Functions<S>[N]>, OutputOf<Functions<S>[N]>>;
  readonly fn: <N extends NameIn<Functions<S>>>(
    name: N,
    ...args: CallArgs<InputOf<Functions<S>[N]>>
  ) => Promise<OutputOf<Functions<S>[N]>>;
  readonly insert: <E extends NameIn<Entities<S>>>(
    entity: E,
    data: Writable<Entities<S>[E]>,
  ) => Promise<string>;
  readonly update: <E extends NameIn<Entities<S>>>(
    entity: E,
    id: string,
    patch: Writable<Entities<S>[E]>,
  ) => Promise<void>;
  readonly delete: (entity: NameIn<Entities<S>>, id: string) => Promise<void>;
  /** `db` without types. */
  readonly untyped: typeof db;
}

/**
 * Returns `db` with the types of an explicit schema. Apps that register their types with
 * `pylon.client.ts` do not need it.
 *
 * @example
 * interface AppSchema {
 *   entities: { Todo: { id: string; title: string } };
 *   functions: { addTodo: { input: { title: string }; output: { id: string } } };
 *   queries: {};
 * }
 * const todos = createTypedDb<AppSchema>();
 * const { id } = await todos.fn("addTodo", { title: "milk" });
 */
export function createTypedDb<S extends AgentDBSchema>(): TypedDb<S>;
export function createTypedDb(): TypedDb<LooseSchema> {
  return {
    useQuery: (entity, options) => useQuery<unknown>(useEngine(), entity, options),
    useQueryOne: (entity, id) => useQueryOne<unknown>(useEngine(), entity, id),
    useInfiniteQuery: (entity, options) => useInfiniteQuery<unknown>(useEngine(), entity, options),
    useMutation: (name) => useMutation<Readonly<Record<string, unknown>>>(useEngine(), name),
    fn: (name, args) => getEngine().fn(name, args),
    insert: (entity, data) => getEngine().insert(entity, data),
    update: (entity, id, patch) => getEngine().update(entity, id, patch),
    delete: (entity, id) => getEngine().delete(entity, id),
    untyped: db,
  };
}

interface LooseSchema {
  readonly entities: Readonly<Record<string, unknown>>;
  readonly functions: Readonly<
    Record<string, { readonly input: Readonly<Record<string, unknown>>; readonly output: unknown }>
  >;
}
