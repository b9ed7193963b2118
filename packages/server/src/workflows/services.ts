import type { Jobs } from "../jobs/jobs.ts";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import type { Definitions } from "./definitions.ts";

/** What workflows run on. */
export interface WorkflowServices {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly platform: Platform;
  readonly definitions: () => Definitions;
  /** Of an attempt at a step, unless its workflow says otherwise, in milliseconds. */
  readonly timeoutMs: number;
}
