import { join } from "node:path";

/**
 * The file of the command that tests start: the bundle, if `npm test` has made one, because that is
 * what is published and it starts in half the time; otherwise the sources.
 */
export const MAIN_FILE =
  process.env["PYLON_TEST_COMMAND"] ?? join(import.meta.dir, "..", "main.ts");
