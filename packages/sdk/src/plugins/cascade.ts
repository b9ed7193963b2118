import type { OnDelete } from "../manifest.ts";
import { shown } from "../mistake.ts";
import { definePlugin, type Plugin } from "../plugin.ts";
import { changeEntities, checkField, checkOptions } from "./options.ts";

/** What happens to rows when the row that they refer to is deleted, by `Entity.field`. */
export type CascadeOptions = Readonly<Record<string, OnDelete>>;

const KNOWN: readonly unknown[] = ["cascade", "setNull", "restrict"];

/**
 * Declares in one place what happens to rows when the row that they refer to is deleted, like
 * `onDelete` of `field.id`.
 *
 * @example
 * const plugins = [cascade({ "Comment.postId": "cascade", "Post.editorId": "setNull" })];
 */
export function cascade(options: CascadeOptions): Plugin {
  checkOptions("cascade", options, Object.keys(options));
  const rules = Object.entries(options).map(([place, onDelete]) => {
    const [entity = "", field = "", ...rest] = place.split(".");
    if (field === "" || rest.length > 0)
      throw new Error(`cascade names "${place}": write "Entity.field", as in "Comment.postId".`);
    if (!KNOWN.includes(onDelete))
      throw new Error(`cascade of ${place} is ${shown(onDelete)}: use ${KNOWN.join(", ")}.`);
    return { entity, field, onDelete };
  });
  return definePlugin({
    name: "cascade",
    schema: (entities) =>
      changeEntities(
        "cascade",
        entities,
        rules.map(({ entity }) => entity),
        (entity) => {
          const own = rules.filter((rule) => rule.entity === entity.name);
          for (const { field } of own) checkField("cascade", entity, field);
          return {
            ...entity,
            fields: entity.fields.map((field) => {
              const rule = own.find((one) => one.field === field.name);
              return rule === undefined ? field : { ...field, on_delete: rule.onDelete };
            }),
          };
        },
      ),
  });
}
