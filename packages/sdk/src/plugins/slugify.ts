import type { Field, OptionalTraits } from "../field.ts";
import { definePlugin, type HookContext, type Plugin, type PluginWithFields } from "../plugin.ts";
import { isObject } from "../mistake.ts";
import { changeEntities, checkCount, checkField, checkOptions, withField } from "./options.ts";

/** The source of the slug of an entity, and its field. */
export interface SlugOptions<To = string> {
  /** The text field from which the slug is built. */
  readonly from: string;
  /** The slug field, which must be unique. Default `slug`. */
  readonly to?: To & string;
  /** The maximum number of characters; default 80. */
  readonly maxLength?: number;
}

/**
 * The source of each slug, by entity.
 *
 * @typeParam T the names of the slug fields that are not called `slug`, by entity
 */
export interface SlugifyOptions<T = Readonly<Record<string, string>>> {
  readonly entities: { readonly [N in keyof T]: SlugOptions<T[N]> };
}

/** The fields that `slugify` adds to its entities. */
export type SlugFields<T> = {
  readonly [N in keyof T]: {
    readonly [K in T[N] extends string ? T[N] : "slug"]: Field<OptionalTraits<string>>;
  };
};

/** The number of numeric suffixes that are tried before a random one is used. */
const MAX_NUMBER = 20;

/**
 * Fills a field with a URL slug, built from another field at the insert: `Hello, you!` becomes
 * `hello-you`, and the next one `hello-you-2`. It does not change when the other field changes.
 *
 * @example
 * const plugins = [slugify({ entities: { Post: { from: "title" } } })];
 */
export function slugify<const T>(options: SlugifyOptions<T>): PluginWithFields<SlugFields<T>>;
export function slugify(options: SlugifyOptions): Plugin {
  checkOptions("slugify", options, ["entities"]);
  const { entities } = options;
  checkOptions("entities of slugify", entities, Object.keys(isObject(entities) ? entities : {}));
  for (const [entity, one] of Object.entries(entities)) {
    checkOptions(`slugify of ${entity}`, one, ["from", "to", "maxLength"]);
    checkCount(`slugify of ${entity}`, "maxLength", one.maxLength, 8);
  }
  return definePlugin({
    name: "slugify",
    schema: (all) =>
      changeEntities("slugify", all, Object.keys(entities), (entity) => {
        const { from = "", to = "slug" } = entities[entity.name] ?? {};
        checkField("slugify", entity, from);
        return withField("slugify", entity, {
          name: to,
          type: "string",
          optional: true,
          unique: true,
        });
      }),
    hooks: {
      beforeInsert: async (data, context) => {
        const { from, to = "slug", maxLength = 80 } = entities[context.entity] ?? {};
        if (from === undefined || (data[to] ?? null) !== null || typeof data[from] !== "string")
          return undefined;
        const slug = slugOf(data[from], maxLength);
        return { ...data, [to]: await free(context, to, slug || "untitled", maxLength) };
      },
    },
  });
}

/**
 * Converts a text to a URL slug: letters and digits of any script, in lower case, with hyphens.
 *
 * @example
 * const slug = slugOf("Ça va?", 80); // "ca-va"
 */
export function slugOf(text: string, maxLength: number): string {
  const plain = text
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "");
  return charactersOf(plain, maxLength).replace(/-$/, "");
}

/** Returns the first characters of a text, without splitting a surrogate pair. */
function charactersOf(text: string, count: number): string {
  return Array.from(text).slice(0, count).join("");
}

async function free(
  { db, entity, uuid }: HookContext,
  field: string,
  slug: string,
  maxLength: number,
): Promise<string> {
  const end = (suffix: string): string =>
    `${charactersOf(slug, maxLength - suffix.length)}${suffix}`;
  for (let number = 1; number <= MAX_NUMBER; number += 1) {
    const candidate = number === 1 ? slug : end(`-${number}`);
    if ((await db.count(entity, { [field]: candidate })) === 0) return candidate;
  }
  return end(`-${uuid().slice(0, 7)}`);
}
