import type { Claims } from "@pylonsync/query";
import type {
  ActionName,
  CallArgs,
  CalledName,
  MutationName,
  QueryName,
  ServerArgs,
  ServerResult,
} from "@pylonsync/sdk";
import type { FnCache } from "./context/cache.ts";
import type { DbReader, DbWriter } from "./context/db.ts";
import type { Email } from "./context/email.ts";
import type { FnLog } from "./context/log.ts";
import type { ActionJob, JobInfo, Scheduler } from "./context/scheduler.ts";
import type { FnStorage } from "./context/storage.ts";
import type { Workflows } from "./context/workflows.ts";

/** The caller of a function. */
export interface AuthInfo {
  /** Null: the caller is not signed in. */
  readonly userId: string | null;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly tenantId: string | null;
  readonly roles: readonly string[];
  /** The user's custom claims: `ctx.auth.claims.plan`. */
  readonly claims: Claims;
}

/**
 * Streams text to a caller that accepts an event stream; for other callers it is discarded.
 *
 * Await each write: it applies back-pressure while the caller does not read, and throws once the
 * caller has disconnected. Writes that are not awaited are buffered, up to 4 MiB; beyond that the
 * call fails with STREAM_TOO_SLOW.
 */
export interface Stream {
  /** @example for await (const token of answer) await ctx.stream.write(token); */
  write(text: string): Promise<void>;
  /** Like `write`, for an event with a name. */
  writeEvent(event: string, text: string): Promise<void>;
}

/** Custom claims of users: policies read them as `auth.claims`, functions as `ctx.auth.claims`. */
export interface UserClaims {
  /** Returns the claims stored for the user, without claims that are set for a single sign-in. */
  get(userId: string): Promise<Claims>;
  /**
   * Replaces the stored claims of a user, in all of their sessions and API keys. Their live data is
   * re-evaluated when the mutation is committed.
   *
   * @param claims at most 32, and at most 2048 bytes as JSON; an empty object removes all claims
   * @throws Error INVALID_DATA
   * @example await ctx.claims.set(userId, { plan: "pro", teams: ["a", "b"] });
   */
  set(userId: string, claims: Claims): Promise<void>;
}

/** The context that all kinds of functions have. Declarations of apps name this type. */
export interface BaseCtx {
  readonly auth: AuthInfo;
  /** The environment variables of the server. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * The secrets that the function declares in `secrets`. Reading one that is undeclared or not set
   * throws.
   */
  readonly secrets: Readonly<Record<never, string>>;
  readonly log: FnLog;
  /** Identifies this call in the server's log. */
  readonly requestId: string;
  /** Aborted when the call times out or the caller disconnects. */
  readonly signal: AbortSignal;
  readonly cache: FnCache;
  /** The start of the call, or of this run of a mutation or query, in milliseconds since 1970. */
  readonly now: number;
  /**
   * Returns a random number from 0 up to, but not including, 1. A live query gets the same numbers
   * in each run, so that its result only changes with the data. Not for secrets.
   */
  random(): number;
  /** Returns a UUID, with the same guarantees as `random`. */
  uuid(): string;
  /** Creates an error that the caller may see: `throw ctx.error("NOT_FOUND", "no such lot")`. */
  error(code: string, message: string): Error;
}

/** The context that is common to all function types, and so available to a middleware. */
export type MiddlewareCtx = BaseCtx;

/** The context of a query's handler. */
export interface QueryCtx extends BaseCtx {
  readonly db: DbReader;
}

/** The context of a mutation's handler. */
export interface MutationCtx extends BaseCtx {
  readonly email: Email;
  /** Null if the call was not made by a job. */
  readonly job: JobInfo | null;
  readonly db: DbWriter;
  readonly claims: UserClaims;
  readonly scheduler: Scheduler;
  readonly workflows: Workflows;
  readonly stream: Stream;
}

type Fields = Readonly<Record<string, unknown>>;

declare const UNSPECIFIED: unique symbol;
/** The default for a result type that a call does not specify. */
type Unspecified = typeof UNSPECIFIED;
/**
 * The function name in a call with an explicit result type; `never` for other calls, whose names
 * are checked.
 */
type NameOfSpecified<T> = [T] extends [Unspecified] ? never : string;

/**
 * Runs a function, given by a reference from `pylon.client.ts` or by its name.
 *
 * @throws the error that the function throws
 */
export interface RunFunction<Name extends string> {
  /**
   * With an explicit result type, as apps of the public system call it. The name is not checked.
   */
  <T = Unspecified>(name: NameOfSpecified<T>, args?: Fields): Promise<NoInfer<T>>;
  <N extends string>(
    name: CalledName<N, Name>,
    ...args: CallArgs<ServerArgs<N>>
  ): Promise<ServerResult<N>>;
}

/** Options of `ctx.runMutation`. */
export interface RunMutationOptions {
  /**
   * Makes retries safe: the same mutation with the same key and arguments is executed once, across
   * all callers, and returns the same result for 30 days. 1 to 128 characters. Of a large result
   * only the key may be kept: a repeated call then fails with `RESULT_NOT_KEPT`.
   */
  readonly idempotencyKey?: string;
}

/** Runs a mutation, like `RunFunction`, optionally with an idempotency key. */
export interface RunMutation {
  /**
   * With an explicit result type, as apps of the public system call it. The name is not checked.
   */
  <T = Unspecified>(
    name: NameOfSpecified<T>,
    args?: Fields,
    options?: RunMutationOptions,
  ): Promise<NoInfer<T>>;
  <N extends string>(
    name: CalledName<N, MutationName>,
    ...call: Record<never, never> extends ServerArgs<N>
      ? [args?: ServerArgs<N>, options?: RunMutationOptions]
      : [args: ServerArgs<N>, options?: RunMutationOptions]
  ): Promise<ServerResult<N>>;
}

/**
 * Sends HTTP requests, until the call ends. Outside dev mode, only https URLs at public addresses
 * are allowed, so that callers can't reach the server's internal network. Redirects are returned
 * and not followed. Bodies have at most 32 MiB and are streamed.
 *
 * @throws Error that callers do not see, for a URL that is not allowed
 */
export type FnFetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** The context of an action's handler. */
export interface ActionCtx extends BaseCtx {
  readonly fetch: FnFetch;
  readonly storage: FnStorage;
  readonly email: Email;
  /** Null if the call was not made by a job. */
  readonly job: ActionJob | null;
  readonly scheduler: Scheduler;
  readonly workflows: Workflows;
  readonly stream: Stream;
  /** Runs a query of the app, including internal ones, on one snapshot. */
  runQuery: RunFunction<QueryName>;
  /**
   * Runs a mutation of the app, including internal ones, as a separate transaction.
   *
   * @example
   * await ctx.runMutation(api.orders.markPaid, { id }, { idempotencyKey: `stripe:${event.id}` });
   */
  runMutation: RunMutation;
  /** Runs an action of the app, including internal ones. */
  runAction: RunFunction<ActionName>;
  /** The HTTP request; only set in a webhook call. */
  readonly request?: {
    readonly method: string;
    /** The path, with the query string. */
    readonly path: string;
    /** The headers, with lower-case names. */
    readonly headers: Readonly<Record<string, string>>;
    /** The body: its UTF-8 is exactly what was sent, also with a byte order mark. */
    readonly rawBody: string;
  };
}
