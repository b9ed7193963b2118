import type { Field, OptionalTraits } from "../field.ts";
import { definePlugin, type Plugin, type PluginWithFields } from "../plugin.ts";
import {
  changeEntities,
  checkCount,
  checkNames,
  checkOptions,
  withField,
  withIndex,
} from "./options.ts";

/** The options of `softDelete`. */
export interface SoftDeleteOptions<E extends string = string, F extends string = string> {
  readonly entities: readonly E[];
  /** The datetime field that stores when a row was deleted. Default `deletedAt`. */
  readonly field?: F;
  /** Permanently deletes marked rows after this number of days. By default they are kept. */
  readonly purgeAfterDays?: number;
}

const DAY_MS = 86_400_000;
/** The number of rows that one run permanently deletes; the next run continues. */
const PURGE_PAGE = 500;

/** The field that `softDelete` adds to its entities. */
export type SoftDeleteFields<E extends string, F extends string> = {
  readonly [N in E]: { readonly [K in F]: Field<OptionalTraits<string, string | Date>> };
};

/** The parts of `ctx` that the purge uses. */
interface PurgeContext {
  readonly now: number;
  readonly db: {
    query(entity: string, filter: object): Promise<readonly { readonly id: string }[]>;
    delete(entity: string, id: string): Promise<boolean>;
  };
  readonly scheduler: { runAfter(ms: number, name: string): Promise<string> };
}

/**
 * Marks rows as deleted instead of deleting them; users can no longer read or change them. A
 * function restores a row by setting the field to null, and deletes it permanently by deleting it
 * again.
 *
 * @example
 * const plugins = [softDelete({ entities: ["Todo"], purgeAfterDays: 30 })];
 */
export function softDelete<E extends string, F extends string = "deletedAt">(
  options: SoftDeleteOptions<E, F>,
): PluginWithFields<SoftDeleteFields<E, F>> {
  checkOptions("soft_delete", options, ["entities", "field", "purgeAfterDays"]);
  const { field = "deletedAt", purgeAfterDays } = options;
  const entities: readonly string[] = options.entities;
  checkNames("soft_delete", "entities", entities ?? null);
  checkCount("soft_delete", "purgeAfterDays", purgeAfterDays, 1);
  return definePlugin({
    name: "soft_delete",
    schema: (all) =>
      changeEntities("soft_delete", all, entities, (entity) =>
        withIndex(
          withField("soft_delete", entity, {
            name: field,
            type: "datetime",
            optional: true,
            unique: false,
          }),
          [field],
        ),
      ),
    policies: entities.map((entity) => ({
      name: `soft_delete ${entity}`,
      entity,
      restrict: true,
      allow: `data.${field} == null`,
    })),
    hooks: {
      beforeDelete: async (before, { entity, db, now, isCascade }) => {
        if (isCascade || !entities.includes(entity) || isMarked(before[field])) return undefined;
        await db.update(entity, before.id, { [field]: new Date(now).toISOString() });
        return "keep";
      },
    },
    ...(purgeAfterDays === undefined ? {} : purge(entities, field, purgeAfterDays)),
  });
}

function isMarked(value: unknown): boolean {
  return value !== null && value !== undefined;
}

function purge(
  entities: readonly string[],
  field: string,
  days: number,
): Pick<Plugin, "functions" | "crons"> {
  const name = "soft_delete.purge";
  return {
    functions: {
      [name]: {
        type: "mutation",
        internal: true,
        handler: async ({ db, now, scheduler }: PurgeContext) => {
          const $lt = new Date(now - days * DAY_MS).toISOString();
          for (const entity of entities) {
            const rows = await db.query(entity, { [field]: { $lt }, $limit: PURGE_PAGE });
            for (const { id } of rows) await db.delete(entity, id);
            if (rows.length < PURGE_PAGE) continue;
            await scheduler.runAfter(0, name);
            return;
          }
        },
      },
    },
    crons: [{ name, schedule: "@hourly", function: name }],
  };
}
