/** Most conditions in a filter, and most parts of a policy. */
export const MAX_NODES = 256;
