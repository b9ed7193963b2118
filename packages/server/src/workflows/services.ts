import type { Jobs } from "../jobs/jobs.ts";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import type { Definitions } from "./definitions.ts";

/** The services of workflows. */
export interface WorkflowServices {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly platform: Platform;
  readonly definitions: () => Definitions;
  /** The timeout of an attempt at a step, unless its workflow sets one, in milliseconds. */
  readonly timeoutMs: number;
}
