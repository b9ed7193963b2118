import { isObject, shown } from "../mistake.ts";
import { definePlugin, type HookContext, type Plugin } from "../plugin.ts";
import { changeEntities, checkField, checkOptions } from "./options.ts";

type Row = Readonly<Record<string, unknown>>;

/** Returns an error message for the caller if the value is invalid; otherwise nothing. */
export type ValidationRule = (value: unknown, row: Row) => string | null | undefined;

/** Validation functions, by entity and field. */
export type ValidationOptions = Readonly<Record<string, Readonly<Record<string, ValidationRule>>>>;

/**
 * Rejects writes that fail the app's own checks, for conditions that a field's declaration can't
 * express. A function is called at an insert, and at an update that sets its field.
 *
 * @example
 * const plugins = [
 *   validation({
 *     Booking: {
 *       end: (value, row) =>
 *         String(value) > String(row["start"]) ? undefined : "A booking ends after it starts.",
 *     },
 *   }),
 * ];
 */
export function validation(options: ValidationOptions): Plugin {
  checkOptions("validation", options, Object.keys(options));
  for (const [entity, rules] of Object.entries(options))
    for (const [field, rule] of Object.entries(isObject(rules) ? rules : {}))
      if (typeof rule !== "function")
        throw new Error(
          `validation of ${entity}.${field} is ${shown(rule)}, and must be a function.`,
        );
  const check = (row: Row, named: (field: string) => boolean, context: HookContext): void => {
    for (const [field, rule] of Object.entries(options[context.entity] ?? {})) {
      const problem = named(field) ? rule(row[field] ?? null, row) : undefined;
      if (typeof problem === "string") throw context.error("INVALID_DATA", problem, { field });
    }
  };
  return definePlugin({
    name: "validation",
    schema: (entities) =>
      changeEntities("validation", entities, Object.keys(options), (entity) => {
        const fields = Object.keys(options[entity.name] ?? {});
        for (const field of fields) checkField("validation", entity, field);
        return entity;
      }),
    hooks: {
      beforeInsert: (data, context) => check(data, () => true, context),
      beforeUpdate: (patch, before, context) =>
        check({ ...before, ...patch }, (field) => Object.hasOwn(patch, field), context),
    },
  });
}
