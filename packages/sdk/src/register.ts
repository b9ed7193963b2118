import type { Append, Increment } from "@pylonsync/query";
import type { AddsOf, WithAdded } from "./added-fields.ts";
import type { App, AppDefinition } from "./build-manifest.ts";
import type {
  ClientFilterOf,
  ClientRowOf,
  Entity,
  FilterOf,
  InsertOf,
  PatchOf,
  RelationOf,
  RowOf,
  StampedEntity,
} from "./entity.ts";
import type { ManifestRelation } from "./manifest.ts";

/**
 * Registers an app's types for `ctx.db` and the client. `pylon.client.ts`, which `pylon dev`
 * updates automatically, extends it:
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
 *     internalFunctions: {};
 *     functionKinds: { addTodo: "mutation"; clearDone: "mutation" };
 *   }
 * }
 */
export interface Register {}

type RegisteredDefinition = Register extends { readonly app: App<infer D> } ? D : AppDefinition;
type RegisteredEntity = EntityOf<RegisteredDefinition>;

type EntityOf<D extends AppDefinition> =
  | WithAdded<
      D extends { readonly timestamps: true }
        ? StampedEntity<D["entities"][number]>
        : D["entities"][number],
      AddsOf<D>
    >
  | EntityOfPlugins<D>;

/** The entities of the plugins whose types name them. */
type EntityOfPlugins<D> = D extends { readonly plugins: readonly (infer P)[] }
  ? P extends { readonly entities: readonly (infer E extends Entity)[] }
    ? NamedEntity<E>
    : never
  : never;
type NamedEntity<E extends Entity> = E extends Entity
  ? string extends E["name"]
    ? never
    : E
  : never;
/**
 * Not for an app whose types are erased, by `const manifest: AppManifest = ...` or by a list of
 * type `EntityDefinition[]`: its entities have any name, and its field types would refuse all
 * values.
 */
type IsRegistered = Register extends { readonly app: unknown }
  ? string extends RegisteredEntity["name"]
    ? false
    : true
  : false;

type LooseRow = { readonly id: string; readonly [field: string]: unknown };
type LooseFields = Readonly<Record<string, unknown>>;

/** Conditions on related rows, by relation; null: there is no related row. */
type RelatedFilters<E, Filters> = {
  readonly [R in RelationOf<E> as R["name"]]?:
    | (R["target"] extends keyof Filters ? Filters[R["target"]] : LooseFields)
    | null;
};

interface Forms<E> {
  readonly row: RowOf<E>;
  readonly clientRow: ClientRowOf<E>;
  readonly insert: InsertOf<E>;
  readonly patch: PatchOf<E>;
  readonly filter: FilterOf<E>;
  readonly serverFilter: FilterOf<E, RelatedFilters<E, RegisteredServerFilters>>;
  readonly clientFilter: ClientFilterOf<E, RelatedFilters<E, RegisteredClientFilters>>["fields"];
}

type ByName<Kind extends keyof Forms<never>> = {
  readonly [E in RegisteredEntity as E["name"]]: Forms<E>[Kind];
};

/** Maps entity names to rows; any name and any row if no app is registered. */
export type RegisteredEntities = IsRegistered extends true
  ? ByName<"row">
  : Readonly<Record<string, LooseRow>>;
/** Maps entity names to rows as clients receive them: without hidden fields. */
export type RegisteredRows = IsRegistered extends true
  ? ByName<"clientRow">
  : Readonly<Record<string, LooseRow>>;
/** Maps entity names to the data of an insert. */
export type RegisteredInserts = IsRegistered extends true
  ? ByName<"insert">
  : Readonly<Record<string, LooseFields>>;
/** Maps entity names to the data of an update. */
export type RegisteredPatches = IsRegistered extends true
  ? ByName<"patch">
  : Readonly<Record<string, LooseFields>>;
type OperatorIn<E extends EntityName, F extends keyof RegisteredPatches[E], Operator> = Extract<
  RegisteredPatches[E][F],
  Operator
>;
type FieldsWith<E extends EntityName, Operator> = {
  [F in keyof RegisteredPatches[E]]-?: [OperatorIn<E, F, Operator>] extends [never] ? never : F;
}[keyof RegisteredPatches[E]];
/** The fields of an entity that `$increment` applies to; any field if no app is registered. */
export type CountedField<E extends EntityName> = IsRegistered extends true
  ? Extract<FieldsWith<E, Increment<number | string>>, string>
  : string;
/** The amount to add to such a field: a number, or for a decimal also a string. */
export type CountedAmount<E extends EntityName, F> = IsRegistered extends true
  ? F extends keyof RegisteredPatches[E]
    ? OperatorIn<E, F, Increment<number | string>> extends Increment<infer Amount>
      ? Amount
      : never
    : never
  : number | string;
/** The fields of an entity that `$append` applies to. */
export type ListField<E extends EntityName> = IsRegistered extends true
  ? Extract<FieldsWith<E, Append>, string>
  : string;
/** The items to append to such a field. */
export type ListItem<E extends EntityName, F extends ListField<E>> = IsRegistered extends true
  ? F extends keyof RegisteredPatches[E]
    ? OperatorIn<E, F, Append> extends Append<infer Item>
      ? Item
      : never
    : never
  : unknown;
/** Maps entity names to filters over their rows. */
export type RegisteredFilters = IsRegistered extends true
  ? ByName<"filter">
  : Readonly<Record<string, LooseFields>>;
/** `RegisteredFilters` on the server, where filters over related rows are supported too. */
export type RegisteredServerFilters = IsRegistered extends true
  ? ByName<"serverFilter">
  : Readonly<Record<string, LooseFields>>;
/** Maps entity names to the filters of a client: without hidden fields. */
export type RegisteredClientFilters = IsRegistered extends true
  ? ByName<"clientFilter">
  : Readonly<Record<string, LooseFields>>;
/** Maps entity names to their relations, by name. */
export type RegisteredRelations = IsRegistered extends true
  ? {
      readonly [E in RegisteredEntity as E["name"]]: {
        readonly [R in RelationOf<E> as R["name"]]: R;
      };
    }
  : Readonly<Record<string, Readonly<Record<string, ManifestRelation>>>>;
/** The fields of the rows to which an entity's relations to one lead: `customer.country`. */
export type RelatedFieldName<E extends EntityName, Rows> = IsRegistered extends true
  ? {
      readonly [N in keyof RegisteredRelations[E] & string]: RegisteredRelations[E][N] extends {
        readonly target: infer T extends keyof Rows;
        readonly many?: false;
      }
        ? `${N}.${keyof Rows[T] & string}`
        : never;
    }[keyof RegisteredRelations[E] & string]
  : string;
/**
 * Types that are looked up by key, because the compiler's messages then list the names instead of
 * the type's own name: a typo is answered with what exists.
 */
interface Names {
  readonly entity: keyof RegisteredEntities & string;
  readonly function: keyof RegisteredFunctions & string;
}
/** The names of the app's entities. */
export type EntityName = Names["entity"];

/** Maps function names to their arguments and results. */
type CallsOf<F> = {
  readonly [N in keyof F]: F[N] extends {
    readonly __types?: infer T extends CallTypes;
  }
    ? T
    : LooseCall;
};
/** `errors`: the error codes that the function declares, each with its data. */
type CallTypes = { readonly args: unknown; readonly result: unknown; readonly errors: unknown };
type LooseCall = {
  readonly args: LooseFields;
  readonly result: unknown;
  readonly errors: Readonly<Record<never, never>>;
};
type LooseCalls = Readonly<Record<string, LooseCall>>;

/** Maps function names to their arguments, results and declared errors. */
export type RegisteredFunctions = Register extends { readonly functions: infer F }
  ? CallsOf<F>
  : LooseCalls;
/** The names of the app's functions. */
export type FunctionName = Names["function"];

/** `RegisteredFunctions` on the server, which can also call internal functions. */
export type ServerFunctions = Register extends {
  readonly functions: infer F;
  readonly internalFunctions: infer I;
}
  ? CallsOf<F & I>
  : LooseCalls;

type NamesOfKind<Kind> = Register extends { readonly functionKinds: infer K }
  ? { readonly [N in keyof K]: K[N] extends Kind ? N : never }[keyof K] & string
  : string;
/** The names of the app's queries, including internal ones. */
export type QueryName = NamesOfKind<"query">;
/** The names of the app's mutations, including internal ones. */
export type MutationName = NamesOfKind<"mutation">;
/** The names of the app's actions, including internal ones. */
export type ActionName = NamesOfKind<"action">;

type ArgsOf<F> = {
  readonly [N in keyof F]: F[N] extends { readonly __types?: infer T extends CallTypes }
    ? T["args"]
    : LooseFields;
};
type ServerArgsByName = Register extends {
  readonly functions: infer F;
  readonly internalFunctions: infer I;
}
  ? ArgsOf<F & I>
  : Readonly<Record<never, never>>;
/**
 * The arguments of a function on the server, by its name.
 *
 * While the compiler checks an object in a call, it asks for the arguments of an unknown name. An
 * index signature answers that. Otherwise it would need the types of all functions, and with them
 * that of the function that contains the call, whose result could then not be inferred.
 */
export type ServerArgs<N extends string> = (ServerArgsByName &
  Readonly<Record<string, LooseFields>>)[N];
/** The return value of a function on the server, by its name. */
export type ServerResult<N> = N extends keyof ServerFunctions
  ? ServerFunctions[N]["result"]
  : unknown;

/** The errors that a function declares, by its name. */
export type ServerErrors<N> = N extends keyof ServerFunctions
  ? ServerFunctions[N]["errors"]
  : LooseCall["errors"];

/** The arguments of a call. They may be omitted if none is required. */
export type CallArgs<A> = Record<never, never> extends A ? [args?: A] : [args: A];

/**
 * The name of a function in a call: a literal must be one of `Known`; a name that is only known at
 * run time may be any string.
 */
export type CalledName<N extends string, Known extends string> = string extends N
  ? Known | (string & Readonly<Record<never, never>>)
  : N extends Known
    ? N
    : Known;
