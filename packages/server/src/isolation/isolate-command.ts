/**
 * The word that makes the pylon executable a process that runs handlers: it has no file beside
 * itself that could be run in its place.
 */
export const ISOLATE_COMMAND = "serve-functions";
