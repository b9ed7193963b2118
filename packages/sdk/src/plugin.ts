import type { AddsOf, WithAdded } from "./added-fields.ts";
import type { AuthHooks } from "./auth.ts";
import type { Entity, Fields as EntityFields, InsertOf, PatchOf, RowOf } from "./entity.ts";
import type { ManifestCron, ManifestEntity, ManifestPolicy, ManifestQueue } from "./manifest.ts";

type Row = { readonly id: string; readonly [field: string]: unknown };
type Fields = Readonly<Record<string, unknown>>;
type Answer = Fields | boolean | null | undefined | void;
type MaybePromise<T> = T | Promise<T>;

/** Access to rows from a hook: inside the write's transaction, without policies. */
export interface HookDb {
  /** Resolves with the row with this id, or null. */
  get(entity: string, id: string): Promise<Row | null>;
  /** Resolves with the rows that match a filter, in the form of `ctx.db.query`. */
  query(entity: string, filter?: Fields): Promise<readonly Row[]>;
  count(entity: string, filter?: Fields): Promise<number>;
  /** Inserts a row and resolves with its id. The hooks of all plugins run for it too. */
  insert(entity: string, data: Fields): Promise<string>;
  /** Resolves with whether the row existed. */
  update(entity: string, id: string, patch: Fields): Promise<boolean>;
  /** Resolves with whether the row existed. */
  delete(entity: string, id: string): Promise<boolean>;
}

/** Options for a call that a hook schedules, as for `ctx.scheduler` of a function. */
export interface HookScheduleOptions {
  /** The delay from now; default 0. */
  readonly delayMs?: number;
  readonly queue?: string;
  readonly maxRetries?: number;
  readonly timeoutSecs?: number;
  /** Jobs of a queue with different keys take turns, so that no key holds up the others. */
  readonly key?: string;
  /** While a job with the same key waits or runs, no second one is created. */
  readonly dedupeKey?: string;
}

/** Optional details of a hook's error. */
export interface HookErrorDetails {
  readonly field?: string;
  readonly hint?: string;
  /** The number of seconds after which the caller may retry. */
  readonly retryAfterSecs?: number;
}

/** The context passed to a hook. */
export interface HookContext {
  readonly entity: string;
  readonly auth: {
    readonly userId: string | null;
    readonly isAdmin: boolean;
    readonly tenantId: string | null;
    readonly roles: readonly string[];
  };
  /**
   * Policies do not apply to this write: it comes from a function, a hook, a cascade or an admin.
   */
  readonly isTrusted: boolean;
  /** The row is written because a row that it refers to is deleted. */
  readonly isCascade: boolean;
  /** Milliseconds since 1970; constant within the transaction. */
  readonly now: number;
  readonly db: HookDb;
  /** Generates a UUID. */
  readonly uuid: () => string;
  /**
   * Schedules a call of a function of the app, if the transaction commits.
   *
   * @returns the job's id
   */
  readonly schedule: (
    name: string,
    args?: Fields,
    options?: HookScheduleOptions,
  ) => Promise<string>;
  /** Creates an error that the caller may see; throw it to reject the write. */
  readonly error: (code: string, message: string, details?: HookErrorDetails) => Error;
}

/**
 * Code that runs inside the transaction of every write. A before-hook may return changed data; null
 * or false rejects the write. An after-hook that throws rolls the write back.
 */
export interface EntityHooks {
  readonly beforeInsert?: (data: Fields, context: HookContext) => MaybePromise<Answer>;
  readonly afterInsert?: (row: Row, context: HookContext) => MaybePromise<void>;
  readonly beforeUpdate?: (
    patch: Fields,
    before: Row,
    context: HookContext,
  ) => MaybePromise<Answer>;
  readonly afterUpdate?: (row: Row, before: Row, context: HookContext) => MaybePromise<void>;
  /**
   * `"keep"`: the row is kept, because the hook has marked it as deleted, and the caller receives
   * the result of a successful delete. Not allowed in a cascade, where the row would refer to a
   * deleted row.
   */
  readonly beforeDelete?: (before: Row, context: HookContext) => MaybePromise<Answer | "keep">;
  readonly afterDelete?: (before: Row, context: HookContext) => MaybePromise<void>;
}

/** `EntityHooks` with the types of one entity. */
export interface HooksOf<E extends Entity> {
  readonly beforeInsert?: (
    data: Partial<InsertOf<E>>,
    context: HookContext,
  ) => MaybePromise<Partial<InsertOf<E>> | boolean | null | undefined | void>;
  readonly afterInsert?: (row: RowOf<E>, context: HookContext) => MaybePromise<void>;
  readonly beforeUpdate?: (
    patch: PatchOf<E>,
    before: RowOf<E>,
    context: HookContext,
  ) => MaybePromise<PatchOf<E> | boolean | null | undefined | void>;
  readonly afterUpdate?: (
    row: RowOf<E>,
    before: RowOf<E>,
    context: HookContext,
  ) => MaybePromise<void>;
  readonly beforeDelete?: (
    before: RowOf<E>,
    context: HookContext,
  ) => MaybePromise<boolean | "keep" | null | undefined | void>;
  readonly afterDelete?: (before: RowOf<E>, context: HookContext) => MaybePromise<void>;
}

/** A function of a plugin: the return value of `query`, `mutation` or `action`. */
export interface PluginFunction {
  readonly type: "query" | "mutation" | "action";
  readonly internal?: boolean;
  readonly handler: (ctx: never, args: never) => unknown;
}

/**
 * Entities, hooks and functions that belong together; or, without any of them, the name and
 * settings of a plugin that is built into the server, such as
 * `{ name: "file_storage", config: { backend: "s3", bucket: "${env.PYLON_S3_BUCKET}" } }`.
 */
export interface Plugin {
  readonly name: string;
  /** Additional entities. */
  readonly entities?: readonly Entity[];
  /** The policies of the plugin's entities, and `restrict` policies for entities of the app. */
  readonly policies?:
    | readonly ManifestPolicy[]
    | ((entities: readonly ManifestEntity[]) => readonly ManifestPolicy[]);
  /** Fields that are added to entities of the app, by entity, with their types. */
  readonly fields?: Readonly<Record<string, EntityFields>>;
  /** Returns the app's entities with the plugin's additions, as they are in the manifest. */
  readonly schema?: (entities: readonly ManifestEntity[]) => readonly ManifestEntity[];
  readonly hooks?: EntityHooks | readonly EntityHooks[];
  /** Hooks that run before those of `auth()`; all hooks must allow a sign-up or sign-in. */
  readonly auth?: AuthHooks;
  /** Functions, by the names under which they are called and scheduled: `audit.export`. */
  readonly functions?: Readonly<Record<string, PluginFunction>>;
  readonly crons?: readonly ManifestCron[];
  /** Limits of the plugin's job queues; limits set by the app take precedence. */
  readonly queues?: Readonly<Record<string, ManifestQueue>>;
  /** The names of plugins whose hooks run after those of this one, if the app uses them. */
  readonly before?: readonly string[];
  /** The names of plugins whose hooks run before those of this one, if the app uses them. */
  readonly after?: readonly string[];
  readonly config?: Readonly<Record<string, unknown>>;
}

/**
 * Declares hooks for one entity, with its types.
 *
 * @example
 * const Task = entity("Task", { title: field.string(), done: field.bool() });
 * const plugin = definePlugin({
 *   name: "tasks",
 *   hooks: hooksFor(Task, {
 *     beforeUpdate: (patch, before, { error }) => {
 *       if (before.done) throw error("TASK_DONE", "This task is done.");
 *     },
 *   }),
 * });
 */
export function hooksFor<E extends Entity>(entity: E, hooks: HooksOf<E>): EntityHooks;
/**
 * With the fields that plugins add to the entity.
 *
 * @param plugins the plugins, or the `fields` of the plugin that is being declared
 * @example
 * const Task = entity("Task", { title: field.string() });
 * const fields = { Task: { rank: field.int().default(0) } };
 * const plugin = definePlugin({
 *   name: "ranked",
 *   fields,
 *   hooks: hooksFor(Task, [{ fields }], {
 *     beforeUpdate: (patch, { rank }, { error }) => {
 *       if (rank > 9) throw error("TASK_DONE", "This task is done.");
 *     },
 *   }),
 * });
 */
export function hooksFor<E extends Entity, const P extends readonly (Plugin | FieldsAdded)[]>(
  entity: E,
  plugins: P,
  hooks: HooksOf<WithAdded<E, AddsOf<{ readonly plugins: P }>>>,
): EntityHooks;
export function hooksFor(
  { name }: Entity,
  ...[first, hooks = first]: readonly [given: object, hooks?: object]
): EntityHooks {
  const own = Object.entries(hooks).map(([hook, run]: [string, unknown]) => [
    hook,
    (...args: readonly unknown[]): unknown => {
      const context = args.at(-1) as HookContext;
      return context.entity === name && typeof run === "function" ? run(...args) : undefined;
    },
  ]);
  return Object.fromEntries(own) as EntityHooks;
}

/** The fields that a plugin adds to entities. */
export type FieldsAdded = Required<Pick<Plugin, "fields">>;

/** A plugin with entities that `ctx.db` and the client know by their types. */
export type PluginWith<E extends Entity> = Plugin & { readonly entities: readonly E[] };

/**
 * A plugin that adds fields to entities, which `ctx.db` and the client know by their types.
 *
 * @typeParam A the fields by entity; under `*` those of all entities of the app
 */
export type PluginWithFields<A> = Plugin & {
  /** Never set at runtime; carries the type. */
  readonly __adds?: A;
};

/**
 * Declares a plugin: entities, hooks and functions that belong together.
 *
 * @example
 * const trimTitles = definePlugin({
 *   name: "trim-titles",
 *   hooks: {
 *     beforeInsert: (data, { entity }) =>
 *       entity === "Todo" ? { ...data, title: String(data.title).trim() } : data,
 *   },
 * });
 */
export function definePlugin<const P extends Plugin>(plugin: P): P {
  return plugin;
}
