import { entity as defineEntity } from "../entity.ts";
import { field } from "../field.ts";
import { isObject } from "../mistake.ts";
import { definePlugin, type HookContext, type Plugin } from "../plugin.ts";
import { changeEntities, checkCount, checkOptions } from "./options.ts";

/** The maximum number of rows that a user may write, by entity. */
export interface RateLimitOptions {
  readonly entities: Readonly<
    Record<string, { readonly max: number; readonly windowSecs: number }>
  >;
}

const RATE_LIMIT_WINDOW = defineEntity("RateLimitWindow", {
  key: field.string().unique(),
  startedAt: field.datetime(),
  count: field.int(),
});

/**
 * Limits how many rows of an entity a user inserts, updates and deletes within a time window, on
 * all paths and across all replicas. Callers without a user share one counter. Writes of admins,
 * writes without a user (such as jobs), and rejected writes are not counted.
 *
 * @example
 * const plugins = [rateLimit({ entities: { Message: { max: 20, windowSecs: 60 } } })];
 */
export function rateLimit(options: RateLimitOptions): Plugin {
  checkOptions("rate_limit", options, ["entities"]);
  const { entities } = options;
  checkOptions("entities of rate_limit", entities, Object.keys(isObject(entities) ? entities : {}));
  for (const [entity, limit] of Object.entries(entities)) {
    checkOptions(`rate_limit of ${entity}`, limit, ["max", "windowSecs"]);
    checkCount(`rate_limit of ${entity}`, "max", limit.max ?? null, 1);
    checkCount(`rate_limit of ${entity}`, "windowSecs", limit.windowSecs ?? null, 1);
  }
  const count = async (context: HookContext): Promise<void> => {
    const limit = entities[context.entity];
    const { auth, isTrusted, isCascade } = context;
    if (limit === undefined || auth.isAdmin || isCascade) return;
    if (!isTrusted || auth.userId !== null) await countWrite(context, limit);
  };
  return definePlugin({
    name: "rate_limit",
    entities: [RATE_LIMIT_WINDOW],
    policies: [{ name: "rate_limit", entity: "RateLimitWindow", allow: "false" }],
    schema: (all) => changeEntities("rate_limit", all, Object.keys(entities), (entity) => entity),
    hooks: {
      beforeInsert: (_data, context) => count(context),
      beforeUpdate: (_patch, _before, context) => count(context),
      beforeDelete: (_before, context) => count(context),
    },
  });
}

async function countWrite(
  { entity, auth, now, db, error }: HookContext,
  { max, windowSecs }: { readonly max: number; readonly windowSecs: number },
): Promise<void> {
  const key = `${entity}:${auth.userId ?? "anonymous"}`;
  const startedAt = new Date(now).toISOString();
  const [window] = await db.query("RateLimitWindow", { key, $limit: 1 });
  if (window === undefined) {
    await db.insert("RateLimitWindow", { key, startedAt, count: 1 });
    return;
  }
  const endsAt = Date.parse(String(window["startedAt"])) + windowSecs * 1000;
  const count = now >= endsAt ? 0 : Number(window["count"]);
  if (count >= max)
    throw error("RATE_LIMITED", `At most ${max} writes to ${entity} in ${windowSecs} s.`, {
      retryAfterSecs: Math.ceil((endsAt - now) / 1000),
    });
  await db.update("RateLimitWindow", window.id, {
    count: count + 1,
    ...(count === 0 ? { startedAt } : {}),
  });
}
