import type { DefaultedTraits, Field } from "../field.ts";
import type { ManifestEntity } from "../manifest.ts";
import { definePlugin, type HookContext, type PluginWithFields } from "../plugin.ts";
import { changeEntities, checkNames, checkOptions, withField, withIndex } from "./options.ts";

/** The options of `tenantScope`. */
export interface TenantScopeOptions<E extends string = string, F extends string = string> {
  /** The entities whose rows belong to a tenant. Default: entities of the app with the field. */
  readonly entities?: readonly E[];
  /** The field that stores the tenant of a row; default `tenantId`. */
  readonly field?: F;
}

/** The field that `tenantScope` adds to the entities that it names. */
export type TenantFields<E extends string, F extends string> = {
  readonly [N in E]: { readonly [K in F]: Field<DefaultedTraits<string>> };
};

/** By entity: its fields that refer to rows of a tenant, with their target entities. */
type References = ReadonlyMap<
  string,
  readonly { readonly name: string; readonly target: string }[]
>;

/**
 * Isolates rows by tenant. An insert is stamped with the tenant of the session, and the policies of
 * these entities only apply within it: other tenants can't read or write the row. A row can't be
 * moved to another tenant, nor refer to a row of one.
 *
 * @example
 * const plugins = [tenantScope({ entities: ["Project", "Task"] })];
 */
export function tenantScope<E extends string = never, F extends string = "tenantId">(
  options: TenantScopeOptions<E, F> = {},
): PluginWithFields<TenantFields<E, F>> {
  checkOptions("tenant_scope", options, ["entities", "field"]);
  checkNames("tenant_scope", "entities", options.entities);
  const field: string = options.field ?? "tenantId";
  let references: References = new Map();
  return definePlugin({
    name: "tenant_scope",
    schema: (all) => {
      const names = scopedNames(all, options.entities, field);
      references = referencesOf(all, names);
      return changeEntities("tenant_scope", all, names, (entity) =>
        withIndex(
          withField("tenant_scope", entity, {
            name: field,
            type: "string",
            optional: false,
            unique: false,
          }),
          [field],
        ),
      );
    },
    policies: (all) =>
      scopedNames(all, options.entities, field).map((entity) => ({
        name: `tenant_scope ${entity}`,
        entity,
        restrict: true,
        allow: `auth.tenantId != null && data.${field} == auth.tenantId`,
      })),
    hooks: {
      beforeInsert: async (data, context) => {
        if (!references.has(context.entity)) return undefined;
        const row = { ...data, [field]: tenantOf(data[field], field, context) };
        await checkWithin(row, row[field], references, field, context);
        return row;
      },
      beforeUpdate: async (patch, before, context) => {
        if (!references.has(context.entity)) return;
        const tenant = patch[field] ?? before[field];
        if (!context.isTrusted && tenant !== before[field])
          throw context.error("FORBIDDEN", "A row can't be moved to another tenant.", { field });
        await checkWithin(patch, tenant, references, field, context);
      },
    },
  });
}

/** @throws Error if no entity belongs to a tenant */
function scopedNames(
  all: readonly ManifestEntity[],
  names: readonly string[] | undefined,
  field: string,
): readonly string[] {
  const scoped =
    names ??
    all.filter(({ fields }) => fields.some(({ name }) => name === field)).map(({ name }) => name);
  if (scoped.length > 0) return scoped;
  throw new Error(`tenant_scope found no entity with a field ${field}: name its entities.`);
}

function referencesOf(all: readonly ManifestEntity[], names: readonly string[]): References {
  const targetOf = (type: string): string => /^id\((.*)\)$/.exec(type)?.[1] ?? "";
  return new Map(
    all
      .filter(({ name }) => names.includes(name))
      .map(({ name, fields }) => [
        name,
        fields
          .map((one) => ({ name: one.name, target: targetOf(one.type) }))
          .filter(({ target }) => names.includes(target)),
      ]),
  );
}

/** Returns the tenant of a new row. Trusted code may set one; otherwise it is the session's. */
function tenantOf(named: unknown, field: string, { auth, isTrusted, error }: HookContext): unknown {
  if (isTrusted) return named ?? auth.tenantId;
  if (auth.tenantId === null)
    throw error("FORBIDDEN", "The session has no tenant, so the row can't be assigned to one.", {
      field,
      hint: "Select an organization: POST /api/auth/select-org.",
    });
  if ((named ?? auth.tenantId) !== auth.tenantId)
    throw error("FORBIDDEN", "A row can't be written into another tenant.", { field });
  return auth.tenantId;
}

/** Checks that referenced rows belong to the same tenant. Trusted code is exempt. */
async function checkWithin(
  values: Readonly<Record<string, unknown>>,
  tenant: unknown,
  references: References,
  field: string,
  { entity, db, isTrusted, error }: HookContext,
): Promise<void> {
  if (isTrusted) return;
  for (const { name, target } of references.get(entity) ?? []) {
    const id = values[name];
    if (typeof id !== "string") continue;
    const other = await db.get(target, id);
    if (other !== null && other[field] !== tenant)
      throw error("REFERENCE_NOT_FOUND", `There is no ${target} with this id in the tenant.`, {
        field: name,
      });
  }
}
