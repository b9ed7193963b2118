import type {
  ActionName,
  CallArgs,
  CalledName,
  MutationName,
  QueryName,
  ServerArgs,
  ServerResult,
} from "@pylonsync/sdk";

/** The context of a workflow run. */
export interface WorkflowContext<Input = unknown> {
  readonly id: string;
  readonly name: string;
  readonly input: Input;
  /**
   * The `version` of the workflow when the run began. Changed code must check it, so that earlier
   * runs continue with the old steps: `if (ctx.version >= 2) await step("audit", audit);`
   */
  readonly version: number;
  /** The number of restarts with `continueAsNew`. */
  readonly generation: number;
  /** The number of steps, sleeps and waits that have been started. */
  readonly currentStep: number;
  /** The names of completed steps, sleeps and waits, in the order of completion. */
  readonly completedSteps: readonly string[];
}

/** Retries and timeout of a step. */
export interface StepOptions {
  /** The number of retries after a failure. Default: the workflow's `maxRetries`. */
  readonly retries?: number;
  /** The timeout of one attempt, in seconds. Default: the workflow's `stepTimeoutSecs`. */
  readonly timeoutSecs?: number;
}

/**
 * Runs a function of the app, given by a reference from `pylon.client.ts` or by its name.
 *
 * @throws the error that the function throws
 */
export type RunInStep<Name extends string> = <N extends string>(
  name: CalledName<N, Name>,
  ...args: CallArgs<ServerArgs<N>>
) => Promise<ServerResult<N>>;

/** The context of a step's code. */
export interface StepContext {
  /** Aborted when the attempt times out, or the run is cancelled. */
  readonly signal: AbortSignal;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** Identical for all attempts of this step, and unique to it: use it as an `Idempotency-Key`. */
  readonly idempotencyKey: string;
  /** Calls functions of the app, including internal ones, without a signed-in user. */
  runQuery: RunInStep<QueryName>;
  runMutation: RunInStep<MutationName>;
  runAction: RunInStep<ActionName>;
}

/** The tools of a workflow. Several may run concurrently (`Promise.all`). */
export interface WorkflowTools {
  /**
   * Runs code once and stores its result, which must be JSON: when the workflow resumes after a
   * crash or a sleep, the stored result is returned and the code does not run again. An attempt
   * that is interrupted by a crash is repeated.
   *
   * @throws StepFailedError after the last attempt has failed
   */
  step<T>(
    name: string,
    run: (ctx: StepContext) => T | Promise<T>,
    options?: StepOptions,
  ): Promise<T>;
  /**
   * Runs a mutation of the app as a step. Its writes and its completion are one transaction, so it
   * is executed exactly once, even if processes are killed.
   *
   * @param name the name of the function, and of the step
   * @throws StepFailedError after the last attempt has failed
   */
  runMutation<N extends string>(
    name: CalledName<N, MutationName>,
    ...call: Record<never, never> extends ServerArgs<N>
      ? [args?: ServerArgs<N>, options?: StepOptions]
      : [args: ServerArgs<N>, options?: StepOptions]
  ): Promise<ServerResult<N>>;
  /** Waits, possibly for days: `30s`, `5m`, `24h`, `1d`, `90` (seconds). */
  sleep(duration: string): Promise<void>;
  /** Waits until an event is sent to the run. @returns the event's data */
  waitForEvent<T = unknown>(name: string): Promise<T>;
  /** @returns undefined if no event arrives within `timeout`, such as `1d` */
  waitForEvent<T = unknown>(
    name: string,
    options: { readonly timeout: string },
  ): Promise<T | undefined>;
  /**
   * Runs another workflow, and waits until it ends.
   *
   * @returns its return value
   * @throws StepFailedError if it failed or was cancelled
   */
  runWorkflow(name: string, input?: unknown): Promise<unknown>;
  /**
   * Publishes the run's progress to callers of `ctx.workflows.get` and the API. Replaces the
   * previous state. Any JSON value of at most 256 KiB.
   */
  setState(state: unknown): void;
  /**
   * Stops the code here, and restarts the run from its first line with another input and no
   * completed steps: for endless workflows, whose steps would become too many. The run keeps its
   * id, its state and its pending events, and gets the current `version` of the code.
   *
   * @throws always, so that no code after it runs
   */
  continueAsNew(input?: unknown): never;
}

/** The options of a workflow. */
export interface WorkflowOptions {
  readonly description?: string;
  /** The number of retries of a failed step. Default 3. */
  readonly maxRetries?: number;
  /** The timeout of an attempt of a step, in seconds. Default: that of a function. */
  readonly stepTimeoutSecs?: number;
  /** Increase it when the steps change: existing runs keep theirs. Default 1. */
  readonly version?: number;
}

/** A workflow as the server loads it. */
export interface WorkflowDefinition extends WorkflowOptions {
  readonly type: "workflow";
  readonly name: string;
  readonly handler: (ctx: never, tools: WorkflowTools) => unknown;
}

/** A workflow with its types. */
export interface TypedWorkflow<Input, Output> extends WorkflowDefinition {
  /** Never set at runtime; carries the types. */
  readonly __types?: { readonly input: Input; readonly output: Output };
}

const OPTIONS = ["description", "maxRetries", "stepTimeoutSecs", "version"];

/**
 * Defines a workflow: code that runs for seconds or for months, and resumes where it was after any
 * restart. Between its steps it must be deterministic: code that reads a clock, a random value or a
 * database belongs in a step.
 *
 * @throws TypeError for unknown or invalid options
 *
 * @example
 * export default workflow<{ orderId: string }>("ship", async (ctx, { runMutation, sleep }) => {
 *   await runMutation("packOrder", { orderId: ctx.input.orderId });
 *   await sleep("1d");
 *   await runMutation("shipOrder", { orderId: ctx.input.orderId });
 * });
 */
export function workflow<Input = unknown, Output = unknown>(
  name: string,
  handler: (ctx: WorkflowContext<Input>, tools: WorkflowTools) => Output | Promise<Output>,
  options: WorkflowOptions = {},
): TypedWorkflow<Input, Output> {
  if (typeof name !== "string" || !/^[\w.-]{1,128}$/.test(name))
    throw new TypeError(
      "The name of a workflow must have at most 128 letters, digits, dots, - and _.",
    );
  if (typeof handler !== "function")
    throw new TypeError(`The workflow "${name}" has no function: write workflow(name, run).`);
  checkOptions(name, options);
  return { type: "workflow", name, handler, ...options };
}

function checkOptions(name: string, options: WorkflowOptions): void {
  const [unknown] = Object.keys(options).filter((key) => !OPTIONS.includes(key));
  if (unknown !== undefined)
    throw new TypeError(
      `The workflow "${name}" has no option "${unknown}": use ${OPTIONS.join(", ")}.`,
    );
  const { maxRetries = 0, stepTimeoutSecs = 1, version = 1 } = options;
  if (!Number.isInteger(maxRetries) || maxRetries < 0)
    throw new TypeError(`maxRetries of the workflow "${name}" must be a whole number.`);
  if (!(stepTimeoutSecs > 0))
    throw new TypeError(`stepTimeoutSecs of the workflow "${name}" must be a number of seconds.`);
  if (!Number.isInteger(version) || version < 1)
    throw new TypeError(`version of the workflow "${name}" must be a whole number from 1.`);
}

/** Whether a value was created by `workflow`, also by another copy of this package. */
export function isWorkflow(value: unknown): value is WorkflowDefinition {
  if (typeof value !== "object" || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  return (
    fields.get("type") === "workflow" &&
    typeof fields.get("name") === "string" &&
    typeof fields.get("handler") === "function"
  );
}
