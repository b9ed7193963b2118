import type { AddsOf, WithAdded } from "../added-fields.ts";
import type { Entity, FieldNameOf, InsertOf, RowOf } from "../entity.ts";
import type { FieldsAdded, Plugin } from "../plugin.ts";
import type { ComputedOptions } from "./computed.ts";
import type { ValidationOptions } from "./validation.ts";

type Plugins = readonly (Plugin | FieldsAdded)[];
type With<E, P extends Plugins> = WithAdded<E, AddsOf<{ readonly plugins: P }>>;
type Input<E, K> = K extends keyof InsertOf<E> ? InsertOf<E>[K] : never;
type Value<E, K> = K extends keyof RowOf<E> ? RowOf<E>[K] | Input<E, K> : never;

/**
 * A row as it is written. At an insert it has what the writer has set, without defaults; at an
 * update it is the row, with the patch.
 */
export type WrittenRowOf<E> = { readonly [K in keyof RowOf<E>]?: Value<E, K> | undefined };

/** Functions that validate the fields of one entity. */
export type RulesOf<E> = {
  readonly [K in FieldNameOf<E>]?: (
    value: NonNullable<Value<E, K>> | null,
    row: WrittenRowOf<E>,
  ) => string | null | undefined;
};

/** Functions that compute fields of one entity. */
export type ComputationsOf<E> = {
  readonly [K in FieldNameOf<E>]?: (row: WrittenRowOf<E>) => Value<E, K> | undefined;
};

/**
 * Declares the rules of `validation` for one entity, with its types.
 *
 * @example
 * const Booking = entity("Booking", { start: field.date(), end: field.date() });
 * const plugins = [
 *   validation(
 *     rulesFor(Booking, {
 *       end: (end, { start = "" }) => (end !== null && end > start ? undefined : "Too early."),
 *     }),
 *   ),
 * ];
 */
export function rulesFor<E extends Entity>(entity: E, rules: RulesOf<E>): ValidationOptions;
/**
 * With the fields that plugins add to the entity.
 *
 * @example
 * const Post = entity("Post", { title: field.string() });
 * const slugs = slugify({ entities: { Post: { from: "title" } } });
 * const rules = rulesFor(Post, [slugs], {
 *   slug: (slug) => (slug === "admin" ? "This address is reserved." : undefined),
 * });
 * const plugins = [slugs, validation(rules)];
 */
export function rulesFor<E extends Entity, const P extends Plugins>(
  entity: E,
  plugins: P,
  rules: RulesOf<With<E, P>>,
): ValidationOptions;
export function rulesFor(
  { name }: Entity,
  ...[first, rules = first]: readonly [given: object, rules?: object]
): ValidationOptions {
  return { [name]: rules as ValidationOptions[string] };
}

/**
 * Declares the fields of `computed` for one entity, with its types.
 *
 * @example
 * const Line = entity("Line", { price: field.int(), count: field.int(), total: field.int() });
 * const plugins = [
 *   computed(computationsFor(Line, { total: ({ price = 0, count = 0 }) => price * count })),
 * ];
 */
export function computationsFor<E extends Entity>(
  entity: E,
  computations: ComputationsOf<E>,
): ComputedOptions;
/**
 * With the fields that plugins add to the entity.
 *
 * @example
 * const Post = entity("Post", { title: field.string(), path: field.string() });
 * const slugs = slugify({ entities: { Post: { from: "title" } } });
 * const paths = computationsFor(Post, [slugs], { path: ({ slug }) => `/posts/${slug ?? ""}` });
 * const plugins = [slugs, computed(paths)];
 */
export function computationsFor<E extends Entity, const P extends Plugins>(
  entity: E,
  plugins: P,
  computations: ComputationsOf<With<E, P>>,
): ComputedOptions;
export function computationsFor(
  { name }: Entity,
  ...[first, computations = first]: readonly [given: object, computations?: object]
): ComputedOptions {
  return { [name]: computations as ComputedOptions[string] };
}
