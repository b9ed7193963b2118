/** Most conditions in a filter, and most parts of a policy. */
export const MAX_NODES = 256;
/** Most values in `$in` and `$nin`. */
export const MAX_LIST_VALUES = 1000;
