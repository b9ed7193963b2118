import type { Entity } from "./entity.ts";

type Row = { readonly id: string; readonly [field: string]: unknown };
type Fields = Readonly<Record<string, unknown>>;
type Answer = Fields | boolean | null | undefined | void;
type MaybePromise<T> = T | Promise<T>;

/** What a hook gets besides the row: the entity's name and the caller. */
export interface HookContext {
  readonly entity: string;
  readonly auth: {
    readonly userId: string | null;
    readonly isAdmin: boolean;
    readonly tenantId: string | null;
    readonly roles: readonly string[];
  };
}

/**
 * Code that runs inside the transaction of every write. A before-hook may return changed data; null
 * or false refuses the write. An after-hook that throws rolls the write back.
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
  readonly beforeDelete?: (before: Row, context: HookContext) => MaybePromise<Answer>;
  readonly afterDelete?: (before: Row, context: HookContext) => MaybePromise<void>;
}

/**
 * Entities and hooks of the app's own; or, with neither, the name and settings of a plugin that the
 * server has, such as
 * `{ name: "file_storage", config: { backend: "s3", bucket: "${env.PYLON_S3_BUCKET}" } }`.
 */
export interface Plugin {
  readonly name: string;
  readonly entities?: readonly Entity[];
  readonly hooks?: EntityHooks;
  readonly config?: Readonly<Record<string, unknown>>;
}

/**
 * Declares a plugin: entities and hooks that belong together.
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
