import type { FunctionLog } from "../call-log.ts";

/** A log for tests that do not look at it. */
export const SILENT_LOG: FunctionLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
