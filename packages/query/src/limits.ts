/** Most conditions in a filter, and most parts of a policy. */
export const MAX_NODES = 256;
/** Most values in one `$in` or `$nin`. */
export const MAX_LIST_VALUES = 1000;
/**
 * Most values in all `$in` and `$nin` of a filter: databases take so many parameters and no more.
 */
export const MAX_LISTED_VALUES = 10_000;
/** Deepest nesting of `$and`, `$or` and `$not` in a filter. */
export const MAX_FILTER_DEPTH = 16;
/** Longest text of `$like`, `$ilike`, `$startsWith` and `$endsWith`, in characters. */
export const MAX_NEEDLE_LENGTH = 1000;
/** Longest path into a json, in keys. */
export const MAX_MEMBER_STEPS = 8;
/** Most conditions on related rows in a filter, at any depth. */
export const MAX_RELATED = 8;
/** Most `$like`, `$ilike`, `$has` and `$hasAny` in a filter: each looks into a whole value. */
export const MAX_SEARCHES = 16;
