import { timestampFields, type TimestampFields } from "../field.ts";
import { definePlugin, type PluginWithFields } from "../plugin.ts";
import { changeEntities, checkNames, checkOptions, withField } from "./options.ts";

/** The options of `timestamps`. */
export interface TimestampsOptions<E extends string = string> {
  /** The entities that get timestamps. Default: all entities of the app. */
  readonly entities?: readonly E[];
}

/**
 * Adds `createdAt` and `updatedAt` to entities, which only the server writes, like `timestamps:
 * true` of an entity.
 *
 * @example
 * const plugins = [timestamps({ entities: ["Todo"] })];
 */
export function timestamps<E extends string = "*">(
  options: TimestampsOptions<E> = {},
): PluginWithFields<{ readonly [N in E]: TimestampFields }> {
  checkOptions("timestamps", options, ["entities"]);
  checkNames("timestamps", "entities", options.entities);
  return definePlugin({
    name: "timestamps",
    schema: (entities) =>
      changeEntities("timestamps", entities, options.entities, (entity) =>
        timestampFields().reduce((all, field) => withField("timestamps", all, field), entity),
      ),
  });
}
