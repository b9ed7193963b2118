import { entity as defineEntity } from "../entity.ts";
import { field } from "../field.ts";
import { definePlugin, type PluginWith } from "../plugin.ts";

/** The caller for whom flags are evaluated: `ctx.auth` of a function. */
export interface FlagCaller {
  readonly userId: string | null;
  readonly tenantId: string | null;
}

/** A flag, as stored in a row of `FeatureFlag`. */
export interface FlagRow {
  readonly name: string;
  readonly enabled: boolean;
  readonly percent: number;
  readonly userIds?: readonly string[] | null;
  readonly tenantIds?: readonly string[] | null;
}

/** The parts of `ctx` that the query uses. */
interface FlagContext {
  readonly auth: FlagCaller;
  readonly db: { query(entity: string, filter: object): Promise<readonly FlagRow[]> };
}

/** The maximum number of flags in one result. */
const MAX_FLAGS = 1000;

const FEATURE_FLAG = defineEntity("FeatureFlag", {
  name: field.string().unique(),
  enabled: field.bool().default(false),
  percent: field.int().min(0).max(100).default(100),
  userIds: field.array(field.string()).optional(),
  tenantIds: field.array(field.string()).optional(),
});

/**
 * Stores flags as rows of `FeatureFlag`, which admins write, and adds a query `feature_flags.all`
 * that returns the state of each flag for the caller. As a live query it reports changes
 * immediately.
 *
 * @example
 * const plugins = [featureFlags()];
 */
export function featureFlags(): PluginWith<typeof FEATURE_FLAG> {
  return definePlugin({
    name: "feature_flags",
    entities: [FEATURE_FLAG],
    policies: [{ name: "feature_flags", entity: "FeatureFlag", allow: "false" }],
    functions: {
      "feature_flags.all": {
        type: "query",
        handler: async ({ auth, db }: FlagContext) => {
          const flags = await db.query("FeatureFlag", { $limit: MAX_FLAGS });
          return Object.fromEntries(flags.map((flag) => [flag.name, isFlagOn(flag, auth)]));
        },
      },
    },
  });
}

/**
 * Whether a flag is on for a user: it is enabled, and lists the user or the tenant, or the user
 * falls within its percentage. Raising the percentage never turns the flag off for a user.
 *
 * @example
 * const flag = { name: "new-editor", enabled: true, percent: 20 };
 * const isOn = isFlagOn(flag, { userId: "u1", tenantId: null });
 */
export function isFlagOn(flag: FlagRow, { userId, tenantId }: FlagCaller): boolean {
  if (!flag.enabled) return false;
  if (userId !== null && flag.userIds?.includes(userId) === true) return true;
  if (tenantId !== null && flag.tenantIds?.includes(tenantId) === true) return true;
  if (flag.percent >= 100) return true;
  return userId !== null && bucketOf(`${flag.name}:${userId}`) < flag.percent;
}

/** Returns a number from 0 to 99: FNV-1a distributes short strings well. */
function bucketOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % 100;
}
