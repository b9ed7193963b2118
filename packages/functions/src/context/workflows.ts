/**
 * Starts workflows of the app, and sends events to them. In a mutation this is part of the
 * transaction: if the handler throws, nothing is started or sent.
 */
export interface Workflows {
  /**
   * @param name the name given to `workflow(name, ...)`
   * @param input JSON of at most 256 KiB
   * @returns the run's id
   * @throws Error WORKFLOW_START_FAILED, PAYLOAD_TOO_LARGE
   * @example await ctx.workflows.start("ship", { orderId });
   */
  start(name: string, input?: unknown): Promise<string>;
  /** Returns the state of a run; null if it does not exist, or ended more than 30 days ago. */
  get(id: string): Promise<WorkflowRun | null>;
  /**
   * Sends an event to a run; it is stored until the run waits for it.
   *
   * @throws Error WORKFLOW_EVENT_FAILED if the run does not exist or has ended
   */
  send(id: string, event: string, data?: unknown): Promise<void>;
  /** Cancels a run. @returns false if the run has already ended, or does not exist */
  cancel(id: string): Promise<boolean>;
}

/** The state of a run of a workflow. */
export interface WorkflowRun {
  readonly id: string;
  readonly name: string;
  readonly status:
    | "pending"
    | "running"
    | "sleeping"
    | "waiting"
    | "completed"
    | "failed"
    | "cancelled";
  /** The value of its last `setState`. */
  readonly state: unknown;
  /** The run's return value. */
  readonly output: unknown;
  /** The reason of a failure. */
  readonly error: string | null;
}
