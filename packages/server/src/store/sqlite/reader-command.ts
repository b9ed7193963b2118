/**
 * The argument that makes the pylon executable a reader process: a standalone executable has no
 * separate file that could be run instead.
 */
export const READER_COMMAND = "serve-reads";
