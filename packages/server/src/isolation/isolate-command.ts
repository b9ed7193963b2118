/**
 * The command that makes the pylon executable run handlers: it has no separate file that could be
 * run instead.
 */
export const ISOLATE_COMMAND = "serve-functions";
