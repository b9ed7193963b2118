/** The maximum number of conditions in a filter, and of parts of a policy. */
export const MAX_NODES = 256;
/** The maximum number of values in one `$in` or `$nin`. */
export const MAX_LIST_VALUES = 1000;
/**
 * The maximum number of values in all `$in` and `$nin` of a filter, because databases limit the
 * number of parameters.
 */
export const MAX_LISTED_VALUES = 10_000;
/** The maximum nesting of `$and`, `$or` and `$not` in a filter. */
export const MAX_FILTER_DEPTH = 16;
/**
 * The maximum length of the text of `$like`, `$ilike`, `$startsWith` and `$endsWith`, in
 * characters.
 */
export const MAX_NEEDLE_LENGTH = 1000;
/** The maximum length of a path into JSON, in keys. */
export const MAX_MEMBER_STEPS = 8;
/** The maximum number of conditions on related rows in a filter, at any depth. */
export const MAX_RELATED = 8;
/**
 * The maximum number of `$like`, `$ilike`, `$has` and `$hasAny` in a filter: each scans a whole
 * value.
 */
export const MAX_SEARCHES = 16;
