import type { Isolation } from "../isolation.ts";

/** Handlers run in this process. */
export const IN_PROCESS: Isolation = {
  isIsolated: () => false,
  enter: () => Promise.reject(new Error("No process is expected.")),
  blocked: () => undefined,
};
