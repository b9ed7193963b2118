import type { App, AppDefinition } from "./build-manifest.ts";
import type {
  ClientFilterOf,
  ClientRowOf,
  FilterOf,
  InsertOf,
  PatchOf,
  RelationOf,
  RowOf,
} from "./entity.ts";

/**
 * Where an app registers its types for `ctx.db` and the client. `pylon.client.ts`, which `pylon
 * dev` keeps up to date, extends it:
 *
 * @example
 * import type app from "./app.ts";
 * import type addTodo from "./functions/addTodo.ts";
 * import type clearDone from "./functions/clearDone.ts";
 *
 * declare module "@pylonsync/sdk" {
 *   interface Register {
 *     app: typeof app;
 *     functions: { addTodo: typeof addTodo; clearDone: typeof clearDone };
 *   }
 * }
 */
export interface Register {}

type RegisteredDefinition = Register extends { readonly app: App<infer D> } ? D : AppDefinition;
type RegisteredEntity = RegisteredDefinition["entities"][number];
type IsRegistered = Register extends { readonly app: unknown } ? true : false;

type LooseRow = { readonly id: string; readonly [field: string]: unknown };
type LooseFields = Readonly<Record<string, unknown>>;

/** What a filter on the server asks of related rows; null: there are none. */
type RelatedFilters<E> = {
  readonly [R in RelationOf<E> as R["name"]]?:
    | (R["target"] extends keyof RegisteredServerFilters
        ? RegisteredServerFilters[R["target"]]
        : LooseFields)
    | null;
};

interface Forms<E> {
  readonly row: RowOf<E>;
  readonly clientRow: ClientRowOf<E>;
  readonly insert: InsertOf<E>;
  readonly patch: PatchOf<E>;
  readonly filter: FilterOf<E>;
  readonly serverFilter: FilterOf<E, RelatedFilters<E>>;
  readonly clientFilter: ClientFilterOf<E>;
}

type ByName<Kind extends keyof Forms<never>> = {
  readonly [E in RegisteredEntity as E["name"]]: Forms<E>[Kind];
};

/** Entity name to its row; any name and any row for an app that registers nothing. */
export type RegisteredEntities = IsRegistered extends true
  ? ByName<"row">
  : Readonly<Record<string, LooseRow>>;
/** Entity name to its row as clients see it: without hidden fields. */
export type RegisteredRows = IsRegistered extends true
  ? ByName<"clientRow">
  : Readonly<Record<string, LooseRow>>;
/** Entity name to what an insert takes. */
export type RegisteredInserts = IsRegistered extends true
  ? ByName<"insert">
  : Readonly<Record<string, LooseFields>>;
/** Entity name to what an update takes. */
export type RegisteredPatches = IsRegistered extends true
  ? ByName<"patch">
  : Readonly<Record<string, LooseFields>>;
/** Entity name to a filter over its rows. */
export type RegisteredFilters = IsRegistered extends true
  ? ByName<"filter">
  : Readonly<Record<string, LooseFields>>;
/** The same on the server, which answers filters over related rows too. */
export type RegisteredServerFilters = IsRegistered extends true
  ? ByName<"serverFilter">
  : Readonly<Record<string, LooseFields>>;
/** Entity name to a filter of a client, which knows no hidden fields. */
export type RegisteredClientFilters = IsRegistered extends true
  ? ByName<"clientFilter">
  : Readonly<Record<string, LooseFields>>;
/** Names of the app's entities. */
export type EntityName = keyof RegisteredEntities & string;

/** Function name to its arguments and result. */
export type RegisteredFunctions = Register extends { readonly functions: infer F }
  ? {
      readonly [N in keyof F]: F[N] extends {
        readonly __types?: infer T extends { readonly args: unknown; readonly result: unknown };
      }
        ? T
        : { readonly args: LooseFields; readonly result: unknown };
    }
  : Readonly<Record<string, { readonly args: LooseFields; readonly result: unknown }>>;
/** Names of the app's functions. */
export type FunctionName = keyof RegisteredFunctions & string;
