/** A run of a workflow, as its code sees it. */
export interface WorkflowContext<Input = unknown> {
  readonly id: string;
  readonly name: string;
  readonly input: Input;
  /**
   * The `version` of the workflow when the run began. Code that has changed asks it, so that runs
   * which began before go on as they did: `if (ctx.version >= 2) await step("audit", audit);`
   */
  readonly version: number;
  /** How often the run has gone on as new: 0 until it first has. */
  readonly generation: number;
  /** How many steps, sleeps and waits have been begun. */
  readonly currentStep: number;
  /** Names of the steps, sleeps and waits that are over, in the order in which they ended. */
  readonly completedSteps: readonly string[];
}

/** How a step is tried. */
export interface StepOptions {
  /** How often it is tried again when it fails. Default: the workflow's `maxRetries`. */
  readonly retries?: number;
  /** How long one attempt may run, in seconds. Default: the workflow's `stepTimeoutSecs`. */
  readonly timeoutSecs?: number;
}

type Args = Readonly<Record<string, unknown>>;

/** What the code of a step gets. */
export interface StepContext {
  /** Aborted when the attempt's time is up, or the run was cancelled. */
  readonly signal: AbortSignal;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  /** The same for each attempt at this step, and for no other step: for an `Idempotency-Key`. */
  readonly idempotencyKey: string;
  /** Calls functions of the app, internal ones too, with nobody signed in. */
  runQuery(name: string, args?: Args): Promise<unknown>;
  runMutation(name: string, args?: Args): Promise<unknown>;
  runAction(name: string, args?: Args): Promise<unknown>;
}

/** What a workflow is written with. Several may be under way at the same time (`Promise.all`). */
export interface WorkflowTools {
  /**
   * Runs code once and keeps its result, which is JSON: when the workflow is resumed after a crash
   * or a sleep, the kept result is answered and the code does not run. An attempt that was cut off
   * by a crash is made again.
   *
   * @throws StepFailedError when the last attempt has failed
   */
  step<T>(
    name: string,
    run: (ctx: StepContext) => T | Promise<T>,
    options?: StepOptions,
  ): Promise<T>;
  /**
   * A step that is a mutation of the app. Its writes and its end are one transaction: it happens
   * once, whatever is killed.
   *
   * @param name the function's, and the step's
   * @throws StepFailedError when the last attempt has failed
   */
  runMutation(name: string, args?: Args, options?: StepOptions): Promise<unknown>;
  /** Waits, for days if need be: `30s`, `5m`, `24h`, `1d`, `90` (seconds). */
  sleep(duration: string): Promise<void>;
  /** Waits until an event is sent to the run. @returns the event's data */
  waitForEvent<T = unknown>(name: string): Promise<T>;
  /** @returns undefined when no event came within `timeout`, such as `1d` */
  waitForEvent<T = unknown>(
    name: string,
    options: { readonly timeout: string },
  ): Promise<T | undefined>;
  /**
   * Starts another workflow, and waits for its end.
   *
   * @returns what it returned
   * @throws StepFailedError when it failed or was cancelled
   */
  runWorkflow(name: string, input?: unknown): Promise<unknown>;
  /**
   * Shows how far the run is, to those who ask `ctx.workflows.get` or the API. Replaces what it
   * showed before. Anything that is JSON, of at most 256 KiB.
   */
  setState(state: unknown): void;
  /**
   * Ends the code here, and begins the run again from its first line with another input, and no
   * steps: for one that goes on for ever, whose steps would become too many. It keeps its id, its
   * state and the events that it has not taken, and gets the `version` of the code as it is now.
   *
   * @throws always, so that nothing after it runs
   */
  continueAsNew(input?: unknown): never;
}

/** What a workflow is beside its code. */
export interface WorkflowOptions {
  readonly description?: string;
  /** How often a step is tried again when it fails. Default 3. */
  readonly maxRetries?: number;
  /** How long an attempt at a step may run, in seconds. Default: as long as a function. */
  readonly stepTimeoutSecs?: number;
  /** Raise it when the steps change: runs keep the one they began with. Default 1. */
  readonly version?: number;
}

/** A workflow as the server holds it. */
export interface WorkflowDefinition extends WorkflowOptions {
  readonly type: "workflow";
  readonly name: string;
  readonly handler: (ctx: never, tools: WorkflowTools) => unknown;
}

/** A workflow that knows its types. */
export interface TypedWorkflow<Input, Output> extends WorkflowDefinition {
  /** Never set: carries the types. */
  readonly __types?: { readonly input: Input; readonly output: Output };
}

const OPTIONS = ["description", "maxRetries", "stepTimeoutSecs", "version"];

/**
 * Defines a workflow: code that runs for seconds or for months, and goes on where it was after any
 * restart. Between its steps it must do the same each time it is run: what reads a clock, a random
 * value or a database belongs into a step.
 *
 * @throws TypeError for options that do not exist or are not numbers
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
    throw new TypeError("A workflow is named by up to 128 letters, digits, dots, - and _.");
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
    throw new TypeError(`maxRetries of the workflow "${name}" is a whole number.`);
  if (!(stepTimeoutSecs > 0))
    throw new TypeError(`stepTimeoutSecs of the workflow "${name}" is a number of seconds.`);
  if (!Number.isInteger(version) || version < 1)
    throw new TypeError(`version of the workflow "${name}" is a whole number from 1.`);
}

/** Whether a value is what `workflow` made, also that of another copy of this package. */
export function isWorkflow(value: unknown): value is WorkflowDefinition {
  if (typeof value !== "object" || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  return (
    fields.get("type") === "workflow" &&
    typeof fields.get("name") === "string" &&
    typeof fields.get("handler") === "function"
  );
}
