/**
 * A step of a workflow has failed for the last time. A workflow that catches it goes on, and may
 * undo what it did before.
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

  /** @param message what the last attempt threw */
  constructor(step: string, message: string) {
    super(message);
    this.step = step;
  }
}
