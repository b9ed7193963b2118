/** A completed step, sleep or event, as the server sends it to a runner. */
export interface CompletedStep {
  readonly step_id: string;
  readonly name: string;
  readonly status: string;
  readonly output: unknown;
}

/** A request to a runner: how does the run continue after the completed steps? */
export interface RunnerRequest {
  readonly workflow_id: string;
  readonly workflow_name: string;
  readonly input: unknown;
  readonly current_step: number;
  readonly completed_steps: readonly CompletedStep[];
}

/** A runner's response: the result of a step, what the run waits for, or how it ended. */
export type RunnerReply =
  | {
      readonly action: "step_complete";
      readonly step_name: string;
      readonly output: unknown;
      readonly duration_ms?: number;
    }
  | { readonly action: "sleep"; readonly duration: string }
  | { readonly action: "wait_event"; readonly event: string }
  | { readonly action: "complete"; readonly output: unknown }
  | { readonly action: "fail"; readonly error: string; readonly step_name?: string };
