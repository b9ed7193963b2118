/**
 * The argument that makes the pylon executable merge documents: it has no separate file that could
 * be run instead.
 */
export const MERGE_COMMAND = "serve-merges";
