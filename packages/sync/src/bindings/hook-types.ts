import type {
  CallArgs,
  EntityName,
  EntityQueryOptions,
  FunctionName,
  Included,
  IncludeOf,
  IncludingOptions,
  NameFor,
  RegisteredFunctions,
  RegisteredInserts,
  RegisteredPatches,
  RegisteredRows,
} from "@pylonsync/sdk";
import type { FunctionError } from "../connection/errors.ts";
import type { SyncStatus } from "../engine/config.ts";
import type { QueryOptions } from "../replica/live-query.ts";
import type { RoomState } from "../rooms/room.ts";
import type { CallState, FunctionState } from "./function-call.ts";
import type { RoomStay, RoomStayOptions } from "./room-stay.ts";
import type { QueryState, RowState } from "./rows.ts";
import type { SessionState } from "./session-state.ts";
import type { EntityWrites } from "./writes.ts";

/**
 * How a framework represents values that change. A binding extends this interface, and describes
 * its own types in terms of `this["value"]`.
 *
 * @example
 * import type { FrameworkTypes } from "@pylonsync/sync/bindings";
 *
 * interface GetterTypes extends FrameworkTypes {
 *   readonly argument: this["value"] | (() => this["value"]);
 *   readonly state: this["value"];
 * }
 */
export interface FrameworkTypes {
  readonly value: unknown;
  /** An argument of a hook, for example the value or a getter of it. */
  readonly argument: unknown;
  /** The state that a hook returns, for example an object of refs. */
  readonly state: unknown;
}

/** A value, or a function that returns it, which is tracked. */
export type MaybeGetter<T> = T | (() => T);

/** The types of frameworks that track getters and property reads, such as Svelte and Solid. */
export interface GetterTypes extends FrameworkTypes {
  readonly argument: MaybeGetter<this["value"]>;
  readonly state: this["value"];
}

/** The type of an argument in a framework. */
export type ArgumentIn<W extends FrameworkTypes, T> = (W & { readonly value: T })["argument"];
/** The type of a state in a framework. */
export type StateIn<W extends FrameworkTypes, T> = (W & { readonly value: T })["state"];

type Fields = Readonly<Record<string, unknown>>;
type Args<N extends FunctionName> = RegisteredFunctions[N]["args"];
type Result<N extends FunctionName> = RegisteredFunctions[N]["result"];
/** The error, with the codes and data that the function declares. */
type Failure<N extends FunctionName> = FunctionError<RegisteredFunctions[N]["errors"]>;
/** The arguments, which may be omitted if none is required. */
type MaybeArgs<W extends FrameworkTypes, A> =
  Record<never, never> extends A ? [args?: ArgumentIn<W, A>] : [args: ArgumentIn<W, A>];

/** The signatures of `useQuery`. */
export interface QueryHook<W extends FrameworkTypes> {
  /** With an explicit row type in place of the registered one. */
  <T = never>(entity: NameFor<T>, options?: ArgumentIn<W, QueryOptions>): StateIn<W, QueryState<T>>;
  /** The matching rows, live. */
  <E extends EntityName>(
    entity: E,
    options?: ArgumentIn<W, EntityQueryOptions<E>>,
  ): StateIn<W, QueryState<RegisteredRows[E]>>;
  /** With related rows under the names of their relations. */
  <E extends EntityName, const I extends IncludeOf<E>>(
    entity: E,
    options?: ArgumentIn<W, IncludingOptions<E, I>>,
  ): StateIn<W, QueryState<Included<E, I>>>;
}

/** The signatures of `useQueryOne`. */
export interface RowHook<W extends FrameworkTypes> {
  /** With an explicit row type in place of the registered one. */
  <T = never>(entity: NameFor<T>, id: ArgumentIn<W, string>): StateIn<W, RowState<T>>;
  /** One row, live; `data` is null if it does not exist. */
  <E extends EntityName>(
    entity: E,
    id: ArgumentIn<W, string>,
  ): StateIn<W, RowState<RegisteredRows[E]>>;
}

/** The signatures of `useFunction`. */
export interface FunctionHook<W extends FrameworkTypes> {
  /** With an explicit result type in place of the registered one. */
  <R = never>(name: NameFor<R>, args?: ArgumentIn<W, Fields>): StateIn<W, FunctionState<R>>;
  /** The live result of a query function. */
  <N extends FunctionName>(
    name: N,
    ...args: MaybeArgs<W, Args<N>>
  ): StateIn<W, FunctionState<Result<N>, Failure<N>>>;
}

/** The functions that `useMutation` returns beside its state. */
export interface CallActions<A, R> {
  /**
   * Calls the function. A failure is also stored in `error`, so that the promise may be ignored.
   *
   * @throws PylonClientError
   */
  readonly mutate: (...args: CallArgs<A>) => Promise<R>;
  /** Resets the state, and ignores the outcome of a running call. */
  readonly reset: () => void;
}

/** The signatures of `useMutation`. */
export interface CallHook<W extends FrameworkTypes> {
  /** With explicit types for arguments and result in place of the registered ones. */
  <A = never, R = unknown>(name: NameFor<A>): StateIn<W, CallState<R>> & CallActions<A, R>;
  /** Calls a server function. With concurrent calls, the state is that of the last one. */
  <N extends FunctionName>(
    name: N,
  ): StateIn<W, CallState<Result<N>, Failure<N>>> & CallActions<Args<N>, Result<N>>;
}

/** The signature of `useEntityMutation`. */
export type WritesHook = <E extends EntityName>(
  entity: E,
) => EntityWrites<RegisteredInserts[E], RegisteredPatches[E]>;

/** The signature of `useSession`. */
export type SessionHook<W extends FrameworkTypes> = () => StateIn<W, SessionState>;
/** The signature of `useStatus`. */
export type StatusHook<W extends FrameworkTypes> = () => StateIn<W, SyncStatus>;

/** The functions that `useRoom` returns beside its state. */
export type RoomActions = Pick<RoomStay, "setPresence" | "broadcast">;

/** The signature of `useRoom`. */
export type RoomHook<W extends FrameworkTypes> = (
  room: ArgumentIn<W, string>,
  userId: ArgumentIn<W, string>,
  options?: RoomStayOptions,
) => StateIn<W, RoomState> & RoomActions;

/** The result of `useMutation` with `GetterTypes`. */
export type Mutation<A, R, X = Error> = CallState<R, X> & CallActions<A, R>;
/** The result of `useRoom` with `GetterTypes`: the other members, and functions to send to them. */
export type RoomResult = RoomState & RoomActions;
