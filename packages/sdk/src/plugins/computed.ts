import { isObject, shown } from "../mistake.ts";
import { definePlugin, type Plugin } from "../plugin.ts";
import { changeEntities, checkField, checkOptions } from "./options.ts";

type Row = Readonly<Record<string, unknown>>;

/** Functions that compute fields from the other fields of their row, by entity and field. */
export type ComputedOptions = Readonly<
  Record<string, Readonly<Record<string, (row: Row) => unknown>>>
>;

/**
 * Computes fields from the other fields of their row at each write and stores them, so that
 * filters, sorting and live queries can use them. Values that a caller sends for them are replaced.
 *
 * @example
 * const plugins = [
 *   computed({ Line: { total: (row) => Number(row["price"]) * Number(row["count"]) } }),
 * ];
 */
export function computed(options: ComputedOptions): Plugin {
  checkOptions("computed", options, Object.keys(options));
  for (const [entity, fields] of Object.entries(options))
    for (const [field, compute] of Object.entries(isObject(fields) ? fields : {}))
      if (typeof compute !== "function")
        throw new Error(
          `computed of ${entity}.${field} is ${shown(compute)}, and must be a function.`,
        );
  const computedOf = (entity: string, row: Row): Row =>
    Object.fromEntries(
      Object.entries(options[entity] ?? {}).map(([field, compute]) => [field, compute(row)]),
    );
  return definePlugin({
    name: "computed",
    schema: (entities) =>
      changeEntities("computed", entities, Object.keys(options), (entity) => {
        const fields = Object.keys(options[entity.name] ?? {});
        for (const field of fields) {
          checkField("computed", entity, field);
          if (entity.fields.some(({ name, computed: own }) => name === field && own === true))
            throw new Error(
              `computed of ${entity.name}.${field}: the field already has a .computed(). ` +
                "Remove one of the two.",
            );
        }
        return entity;
      }),
    hooks: {
      beforeInsert: (data, { entity }) =>
        Object.hasOwn(options, entity) ? { ...data, ...computedOf(entity, data) } : undefined,
      beforeUpdate: (patch, before, { entity }) =>
        Object.hasOwn(options, entity)
          ? { ...patch, ...computedOf(entity, { ...before, ...patch }) }
          : undefined,
    },
  });
}
