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
}
