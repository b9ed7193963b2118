import { entity as defineEntity } from "../entity.ts";
import { field } from "../field.ts";
import { definePlugin, type HookContext, type PluginWith } from "../plugin.ts";
import { changeEntities, checkCount, checkNames, checkOptions } from "./options.ts";

/** The options of `versioning`. */
export interface VersioningOptions {
  readonly entities: readonly string[];
  /** The number of versions to keep per row; default 50. */
  readonly keep?: number;
}

/**
 * Stores the previous version of a row on each update and delete, as a row of `RowVersion` with a
 * version number that counts from 1. Functions and admins can read them. Encrypted fields are not
 * stored again.
 *
 * @example
 * const plugins = [versioning({ entities: ["Page"], keep: 20 })];
 */
export function versioning(options: VersioningOptions): PluginWith<typeof ROW_VERSION> {
  checkOptions("versioning", options, ["entities", "keep"]);
  const { entities, keep = 50 } = options;
  checkNames("versioning", "entities", entities ?? null);
  checkCount("versioning", "keep", options.keep, 1);
  /** The encrypted fields of each entity. */
  const omitted = new Map<string, ReadonlySet<string>>();
  const save = async (
    before: Readonly<Record<string, unknown>>,
    context: HookContext,
  ): Promise<void> => {
    if (!entities.includes(context.entity)) return;
    const isKept = ([name]: readonly [string, unknown]): boolean =>
      omitted.get(context.entity)?.has(name) !== true;
    await saveVersion(Object.fromEntries(Object.entries(before).filter(isKept)), context, keep);
  };
  return definePlugin({
    name: "versioning",
    entities: [ROW_VERSION],
    policies: [{ name: "versioning", entity: "RowVersion", allow: "false" }],
    schema: (all) =>
      changeEntities("versioning", all, entities, (entity) => {
        const encrypted = entity.fields.filter(({ type }) => type === "encrypted");
        omitted.set(entity.name, new Set(encrypted.map(({ name }) => name)));
        return entity;
      }),
    hooks: {
      afterUpdate: (_row, before, context) => save(before, context),
      afterDelete: (before, context) => save(before, context),
    },
  });
}

const ROW_VERSION = defineEntity(
  "RowVersion",
  {
    entity: field.string(),
    rowId: field.string(),
    version: field.int(),
    data: field.json(),
    /** The user who replaced this version, and when. */
    userId: field.string().optional(),
    at: field.datetime(),
  },
  { indexes: [{ name: "by_version", fields: ["entity", "rowId", "version"], unique: true }] },
);

async function saveVersion(
  { id: rowId, ...data }: Readonly<Record<string, unknown>>,
  { entity, auth, now, db }: HookContext,
  keep: number,
): Promise<void> {
  const newest = await db.query("RowVersion", {
    entity,
    rowId,
    $order: { version: "desc" },
    $limit: 1,
  });
  const version = Number(newest[0]?.["version"] ?? 0) + 1;
  await db.insert("RowVersion", {
    entity,
    rowId,
    version,
    data,
    userId: auth.userId,
    at: new Date(now).toISOString(),
  });
  const old = await db.query("RowVersion", { entity, rowId, version: { $lte: version - keep } });
  for (const { id } of old) await db.delete("RowVersion", id);
}
