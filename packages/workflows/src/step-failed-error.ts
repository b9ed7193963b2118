/** Marks the errors of all copies of this module: the published command has a copy of its own. */
const STEP_FAILED = Symbol.for("pylon.step-failed");

/**
 * A step of a workflow has failed after its last retry. A workflow may catch it to continue, for
 * example to undo earlier steps.
 *
 * @example
 * try {
 *   await step("charge", charge);
 * } catch (error) {
 *   if (!(error instanceof StepFailedError)) throw error;
 *   await runMutation("releaseStock", { orderId });
 * }
 */
export class StepFailedError extends Error {
  override readonly name = "StepFailedError";
  /** The step's name. */
  readonly step: string;

  /** @param message the error of the last attempt */
  constructor(step: string, message: string) {
    super(message);
    this.step = step;
  }

  /** Holds for errors of every copy of this class, as the server and the app may have one each. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== StepFailedError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === "object" && value !== null && STEP_FAILED in value;
  }

  /** On the prototype, so that logs do not print it. */
  get [STEP_FAILED](): true {
    return true;
  }
}
