/**
 * The word that makes the pylon executable a reader process: it has no file beside itself that
 * could be run in its place.
 */
export const READER_COMMAND = "serve-reads";
