import type {
  ActionName,
  CalledName,
  EntityName,
  MutationName,
  QueryName,
  RegisteredEntities,
  ServerArgs,
  ServerResult,
} from "@pylonsync/sdk";
import type { FilterOn } from "./context/db-queries.ts";

/** The options of a call that a shard makes outside of its simulation. */
export interface ShardCallOptions {
  /**
   * The id of a player in the shard on whose behalf the call is made: the function's `auth`, or the
   * policies of the rows, apply as if the player had called. Default: the call is made as the
   * server, without those checks.
   */
  readonly as?: string;
  /** Plain JSON data that the result carries, to recognize what it is for. */
  readonly data?: unknown;
}

/** The error of a call. */
export interface ShardCallError {
  /**
   * The error code of the function or of the read. INTERRUPTED: the shard was stopped before the
   * call returned, so the function may or may not have run. NOT_CONNECTED: the player of `as` had
   * no connection. RESULT_TOO_LARGE and INVALID_RESULT: the result can't be delivered.
   */
  readonly code: string;
  readonly message: string;
}

interface ResultOf<Kind extends "run" | "get" | "read", Name extends string> {
  /** The number that `step.run`, `step.get` or `step.read` returned. */
  readonly call: number;
  readonly kind: Kind;
  /** The name of the function or of the entity. */
  readonly name: Name;
  /** The `data` of the call; null by default. */
  readonly data: unknown;
}

type Settled<Result, Value> =
  | (Result & { readonly error: null; readonly value: Value })
  | (Result & { readonly error: ShardCallError; readonly value: null });

type CallableName = QueryName | MutationName | ActionName;

/**
 * The result of a call, as `onResult` receives it: compare `name`, and test `error`, to get the
 * type of `value`. It is JSON: a date is a string.
 */
export type ShardResult =
  | { [N in CallableName]: Settled<ResultOf<"run", N>, ServerResult<N>> }[CallableName]
  | { [E in EntityName]: Settled<ResultOf<"get", E>, RegisteredEntities[E] | null> }[EntityName]
  | { [E in EntityName]: Settled<ResultOf<"read", E>, RegisteredEntities[E][]> }[EntityName];

/** Runs a function of the app after the step. @returns the number of the call */
export interface RunFromShard {
  <N extends string>(
    name: CalledName<N, CallableName>,
    ...call: Record<never, never> extends ServerArgs<N>
      ? [args?: ServerArgs<N>, options?: ShardCallOptions]
      : [args: ServerArgs<N>, options?: ShardCallOptions]
  ): number;
}

/** Reads a row by its id after the step. @returns the number of the call */
export type GetFromShard = <E extends EntityName>(
  entity: E,
  id: string,
  options?: ShardCallOptions,
) => number;

/** Reads the rows that match a filter after the step. @returns the number of the call */
export type ReadFromShard = <E extends EntityName>(
  entity: E,
  filter?: FilterOn<E>,
  options?: ShardCallOptions,
) => number;

/** A timer that is due, as `onTimer` receives it. */
export interface ShardTimer {
  /** The number that `step.after` returned. */
  readonly timer: number;
  readonly name: string;
  /** The `data` of the timer; null by default. */
  readonly data: unknown;
}

/** The level of a line that a shard logs. */
export type ShardLogLevel = "debug" | "info" | "warn" | "error";

/** A line that a shard logged. */
export interface ShardLogLine {
  readonly level: ShardLogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
}
