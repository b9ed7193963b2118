import { entity as defineEntity } from "../entity.ts";
import { field } from "../field.ts";
import { definePlugin, type HookContext, type PluginWith } from "../plugin.ts";
import { changeEntities, checkNames, checkOptions, copiedFields } from "./options.ts";

/** The options of `auditLog`. */
export interface AuditLogOptions {
  /** The entities to record. Default: all entities of the app. */
  readonly entities?: readonly string[];
  /** Fields whose values are not recorded, of any entity; hidden and encrypted fields never are. */
  readonly except?: readonly string[];
}

type Row = Readonly<Record<string, unknown>>;

/**
 * Records each insert, update and delete as a row of `AuditLog`, in the same transaction: the user,
 * the time, and the changed values. Only admins and functions can read it.
 *
 * @example
 * const plugins = [auditLog({ entities: ["Invoice"], except: ["cardNumber"] })];
 */
export function auditLog(options: AuditLogOptions = {}): PluginWith<typeof AUDIT_LOG> {
  checkOptions("audit_log", options, ["entities", "except"]);
  checkNames("audit_log", "entities", options.entities);
  checkNames("audit_log", "except", options.except);
  /** The recorded fields of each entity. */
  const recorded = new Map<string, ReadonlySet<string>>();
  const record = async (
    { entity, auth, now, db }: HookContext,
    operation: "insert" | "update" | "delete",
    rowId: string,
    images: { readonly before: Row | null; readonly after: Row | null },
  ): Promise<void> => {
    const fields = recorded.get(entity);
    if (fields === undefined) return;
    await db.insert("AuditLog", {
      entity,
      rowId,
      operation,
      userId: auth.userId,
      isAdmin: auth.isAdmin,
      tenantId: auth.tenantId,
      at: new Date(now).toISOString(),
      ...changesOf(images, fields),
    });
  };
  return definePlugin({
    name: "audit_log",
    entities: [AUDIT_LOG],
    policies: [{ name: "audit_log", entity: "AuditLog", allow: "false" }],
    schema: (all) =>
      changeEntities("audit_log", all, options.entities, (one) => {
        const shown = copiedFields(one).filter((name) => options.except?.includes(name) !== true);
        recorded.set(one.name, new Set(shown));
        return one;
      }),
    hooks: {
      afterInsert: (row, context) =>
        record(context, "insert", row.id, { before: null, after: row }),
      afterUpdate: (row, before, context) =>
        record(context, "update", row.id, { before, after: row }),
      afterDelete: (before, context) =>
        record(context, "delete", before.id, { before, after: null }),
    },
  });
}

const AUDIT_LOG = defineEntity(
  "AuditLog",
  {
    entity: field.string(),
    rowId: field.string(),
    operation: field.enum(["insert", "update", "delete"]),
    userId: field.string().optional(),
    isAdmin: field.bool(),
    tenantId: field.string().optional(),
    at: field.datetime(),
    before: field.json().optional(),
    after: field.json().optional(),
  },
  {
    indexes: [
      { name: "by_row", fields: ["entity", "rowId"], unique: false },
      { name: "by_time", fields: ["at"], unique: false },
    ],
  },
);

/** For an update, only the changed values. */
function changesOf(
  { before, after }: { readonly before: Row | null; readonly after: Row | null },
  fields: ReadonlySet<string>,
): { readonly before: Row | null; readonly after: Row | null } {
  const changed = [...fields].filter(
    (name) =>
      before === null ||
      after === null ||
      JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  const of = (row: Row | null): Row | null =>
    row && Object.fromEntries(changed.map((name) => [name, row[name] ?? null]));
  return { before: of(before), after: of(after) };
}
