import type {
  EntityName,
  RegisteredEntities,
  RegisteredInserts,
  RegisteredPatches,
  RegisteredServerFilters,
} from "@pylonsync/sdk";

/** The caller of a function. */
export interface AuthInfo {
  /** Null: nobody is signed in. */
  readonly userId: string | null;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly tenantId: string | null;
  readonly roles: readonly string[];
}

/**
 * A filter: `{done: false, title: {$like: "milk"}, $order: {createdAt: "desc"}, $limit: 20}`. See
 * docs/queries.md.
 */
export type Filter = Readonly<Record<string, unknown>>;

/** A filter over the rows of one entity, with an order, a limit and an offset. */
export type FilterOn<E extends EntityName> = RegisteredServerFilters[E] & {
  readonly $order?: Readonly<Record<string, "asc" | "desc" | "ASC" | "DESC">> | readonly unknown[];
  readonly $limit?: number;
  readonly $offset?: number;
};

/**
 * What `ctx.db.aggregate` computes: counts, sums, averages and bounds of fields, over all rows that
 * match `where`, or by group.
 */
export interface AggregateSpec {
  /** `true` or `"*"`: the rows; a field's name: those with a value too, as `count_field`. */
  readonly count?: boolean | string;
  readonly sum?: readonly string[];
  readonly avg?: readonly string[];
  readonly min?: readonly string[];
  readonly max?: readonly string[];
  readonly countDistinct?: readonly string[];
  readonly groupBy?: readonly (
    | string
    | { readonly field: string; readonly bucket?: "hour" | "day" | "week" | "month" | "year" }
  )[];
  readonly where?: Filter;
  /** Only groups whose results are so: `{count: {$gt: 1}, sum_cents: {$gte: 100}}`. */
  readonly having?: Filter;
  /** By names of results: `{sum_cents: "desc"}`. Default: by the groups. */
  readonly order?: Readonly<Record<string, "asc" | "desc">>;
  /** Only the first groups. */
  readonly limit?: number;
}

/** A page of rows, and the cursors of its neighbours. */
export interface PageOf<R> {
  readonly page: R[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
  /** Null on the first page. */
  readonly prevCursor: string | null;
  readonly isDone: boolean;
}

/** Which page of which rows `ctx.db.paginate` reads. */
export interface PageOptions<E extends EntityName> {
  readonly where?: RegisteredServerFilters[E];
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly order?: {
    readonly [F in keyof RegisteredEntities[E] & string]?: "asc" | "desc";
  };
  /** `nextCursor` or `prevCursor` of another page of the same rows; null for the first one. */
  readonly cursor?: string | null;
  /** Rows of a page, from 1 to 1000; by default 100. */
  readonly limit?: number;
  /** The older name of `limit`; brought into 1 to 1000. */
  readonly numItems?: number;
}

/** Reads rows. Policies do not apply in a function: it checks `ctx.auth` itself. */
export interface DbReader {
  get<E extends EntityName>(entity: E, id: string): Promise<RegisteredEntities[E] | null>;
  list<E extends EntityName>(entity: E): Promise<RegisteredEntities[E][]>;
  /** The first row, by id, whose field has this value; null for null, which no row has. */
  lookup<E extends EntityName>(
    entity: E,
    field: keyof RegisteredEntities[E] & string,
    value: string | number | boolean | Date,
  ): Promise<RegisteredEntities[E] | null>;
  query<E extends EntityName>(entity: E, filter?: FilterOn<E>): Promise<RegisteredEntities[E][]>;
  count<E extends EntityName>(entity: E, filter?: FilterOn<E>): Promise<number>;
  /**
   * One object for each group, or one for all rows: `count`, `sum_field`, `avg_field`, `min_field`,
   * `max_field`, `countDistinct_field`, and each grouped field under its own name.
   */
  aggregate<E extends EntityName>(
    entity: E,
    spec: AggregateSpec,
  ): Promise<Record<string, string | number | boolean | null>[]>;
  /**
   * A page of the rows that match `where`, in any order, each row once while others are written. A
   * cursor of another query is refused with INVALID_QUERY.
   */
  paginate<E extends EntityName>(
    entity: E,
    options?: PageOptions<E>,
  ): Promise<PageOf<RegisteredEntities[E]>>;
  /**
   * `{Todo: {where?, include?: {owner: {}}, limit?}}`: rows with their related rows under the
   * relation's name.
   */
  queryGraph(
    graph: Readonly<
      Record<
        string,
        {
          readonly where?: Filter;
          readonly include?: Readonly<Record<string, object>>;
          readonly limit?: number;
        }
      >
    >,
  ): Promise<Record<string, Record<string, unknown>[]>>;
}

/** Reads and writes rows in the mutation's transaction; reads see its own writes. */
export interface DbWriter extends DbReader {
  /** @returns the new row's id */
  insert<E extends EntityName>(entity: E, data: RegisteredInserts[E]): Promise<string>;
  /** @returns whether the row was there */
  update<E extends EntityName>(
    entity: E,
    id: string,
    patch: RegisteredPatches[E],
  ): Promise<boolean>;
  /** @returns whether the row was there */
  delete<E extends EntityName>(entity: E, id: string): Promise<boolean>;
  link(entity: EntityName, id: string, relation: string, targetId: string): Promise<boolean>;
  unlink(entity: EntityName, id: string, relation: string): Promise<boolean>;
}

/**
 * Sends text to a caller that reads the answer as an event stream; for other callers it is dropped.
 */
export interface Stream {
  write(text: string): void;
  writeEvent(event: string, text: string): void;
}

/**
 * Values that can be computed again, shared by all replicas that use the same Redis. A miss costs a
 * computation, never an error: an unreadable value is a miss, and one that can't be stored is
 * dropped. Not part of a mutation's transaction.
 */
export interface FnCache {
  /** @returns undefined for a miss */
  get(key: string): Promise<unknown>;
  /** Keeps a value that is JSON, of 1 MiB at most, for `ttlSeconds`. */
  set(key: string, value: unknown, ttlSeconds: number): Promise<void>;
  delete(key: string): Promise<void>;
  /**
   * The cached value, or what `compute` makes; calls that need the same key at the same time share
   * one run.
   */
  getOrSet<T>(key: string, ttlSeconds: number, compute: () => T | Promise<T>): Promise<T>;
}

/** How a scheduled call is made. */
export interface ScheduleOptions {
  /** Jobs of one queue are taken in order; several queues take turns. Default `functions`. */
  readonly queue?: string;
  /** Among the jobs of its queue. Default `normal`. */
  readonly priority?: "low" | "normal" | "high" | "critical";
  /** How often it is tried again when it fails, with longer and longer pauses. Default 3. */
  readonly maxRetries?: number;
  /** How long one attempt may run, in seconds. Default: as long as any call of a function. */
  readonly timeoutSecs?: number;
  /**
   * Calls with different keys take turns, so that one tenant's thousands do not keep the others
   * waiting.
   */
  readonly key?: string;
  /** While a call with the same one waits or runs, no second one is made. */
  readonly dedupeKey?: string;
}

/**
 * Calls functions later: with nobody signed in, also after a restart of the server, and again when
 * they fail. In a mutation the call is part of the transaction: when the handler throws, nothing is
 * scheduled.
 */
export interface Scheduler {
  /**
   * Calls a function in some milliseconds.
   *
   * @returns the job's id
   * @example await ctx.scheduler.runAfter(15_000, "packOrder", { orderId });
   */
  runAfter(
    delayMs: number,
    name: string,
    args?: Readonly<Record<string, unknown>>,
    options?: ScheduleOptions,
  ): Promise<string>;
  /** Calls a function at a time, in milliseconds since 1970. @returns the job's id */
  runAt(
    unixMs: number,
    name: string,
    args?: Readonly<Record<string, unknown>>,
    options?: ScheduleOptions,
  ): Promise<string>;
  /**
   * Calls many functions, and one more once all of them are over: succeeded, failed for the last
   * time or taken back. `ctx.job.batch` tells the last one how many did.
   *
   * @param calls up to 1000, without a `dedupeKey`
   * @returns the id of the job after them, which is that of the batch
   * @example
   * const calls = rows.map((row) => ({ name: "importRow", args: { row } }));
   * await ctx.scheduler.runBatch(calls, { name: "importDone" });
   */
  runBatch(calls: readonly BatchCall[], after: BatchCall): Promise<string>;
  /** Takes a call back. @returns false when it is over already, or never was */
  cancel(id: string): Promise<boolean>;
}

/** One call of a batch. */
export interface BatchCall {
  readonly name: string;
  readonly args?: Readonly<Record<string, unknown>>;
  readonly options?: ScheduleOptions;
}

/** What became of the jobs of a batch. */
export interface BatchResult {
  readonly total: number;
  readonly completed: number;
  /** They failed for the last time, or were taken back. */
  readonly failed: number;
}

/**
 * Starts workflows of the app, and tells them what has happened. In a mutation it is part of the
 * transaction: when the handler throws, nothing is started and nothing is sent.
 */
export interface Workflows {
  /**
   * @param name as `workflow(name, ...)` calls it
   * @param input JSON of at most 256 KiB
   * @returns the run's id
   * @throws Error WORKFLOW_START_FAILED, PAYLOAD_TOO_LARGE
   * @example await ctx.workflows.start("ship", { orderId });
   */
  start(name: string, input?: unknown): Promise<string>;
  /** How a run is now; null when there is none, or it has been over for 30 days. */
  get(id: string): Promise<WorkflowRun | null>;
  /**
   * Sends an event to a run; it is kept until the run waits for it.
   *
   * @throws Error WORKFLOW_EVENT_FAILED when there is no such run, or it is over
   */
  send(id: string, event: string, data?: unknown): Promise<void>;
  /** @returns false when the run is over already, or never was */
  cancel(id: string): Promise<boolean>;
}

/** How a run of a workflow is. */
export interface WorkflowRun {
  readonly id: string;
  readonly name: string;
  readonly status:
    | "pending"
    | "running"
    | "sleeping"
    | "waiting"
    | "completed"
    | "failed"
    | "cancelled";
  /** What it showed last by `setState`. */
  readonly state: unknown;
  /** What it returned. */
  readonly output: unknown;
  /** Why it failed. */
  readonly error: string | null;
}

/** The job that made the call. */
export interface JobInfo {
  readonly id: string;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  /** For the job after a batch: what became of those in it. */
  readonly batch: BatchResult | null;
}

/** The job that made the call of an action, which can tell how far it is. */
export interface ActionJob extends JobInfo {
  /**
   * Tells admins how far the job is. Cheap enough to be called a few times a second.
   *
   * @param fraction from 0 to 1
   * @param note in words, of 500 characters at most
   * @throws Error INVALID_ARGS; JOB_LOST when the job was cancelled or given to another server
   * @example await ctx.job?.setProgress(done / total, `${done} of ${total} rows`);
   */
  setProgress(fraction: number, note?: string): Promise<void>;
}

interface BaseCtx {
  readonly auth: AuthInfo;
  /** The server's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Names this call in the server's log. */
  readonly requestId: string;
  /** Aborted when the time is up or the caller is gone. */
  readonly signal: AbortSignal;
  readonly cache: FnCache;
  /** Makes an error that the caller may see: `throw ctx.error("NOT_FOUND", "no such lot")`. */
  error(code: string, message: string): Error;
}

/** What the handler of a query gets. */
export interface QueryCtx extends BaseCtx {
  /** When the run began, in milliseconds since 1970. */
  readonly now: number;
  /**
   * From 0 up to 1. A live query draws the same numbers in each run, so that its result changes
   * with the data alone. Not for secrets.
   */
  random(): number;
  /** A UUID, drawn as `random` is. */
  uuid(): string;
  readonly db: DbReader;
}

/** What the handler of a mutation gets. */
export interface MutationCtx extends BaseCtx {
  /** Null when no job made the call. */
  readonly job: JobInfo | null;
  readonly db: DbWriter;
  readonly scheduler: Scheduler;
  readonly workflows: Workflows;
  readonly stream: Stream;
}

/** What the handler of an action gets. */
export interface ActionCtx extends BaseCtx {
  /** Null when no job made the call. */
  readonly job: ActionJob | null;
  readonly scheduler: Scheduler;
  readonly workflows: Workflows;
  readonly stream: Stream;
  /** Each call is a transaction of its own. */
  runQuery(name: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  runMutation(name: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  runAction(name: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Only for a webhook. */
  readonly request?: {
    readonly method: string;
    /** With the query string. */
    readonly path: string;
    /** Lower-case names. */
    readonly headers: Readonly<Record<string, string>>;
    readonly rawBody: string;
  };
}
