/**
 * Defines durable workflows: one file in `workflows/`, with one default export.
 *
 * @module
 */
export { parseDuration } from "./duration.ts";
export { createRunner, WorkflowRunner, type ServedRunner } from "./runner.ts";
export type { CompletedStep, RunnerReply, RunnerRequest } from "./runner-wire.ts";
export { StepFailedError } from "./step-failed-error.ts";
export {
  isWorkflow,
  workflow,
  type RunInStep,
  type StepContext,
  type StepOptions,
  type TypedWorkflow,
  type WorkflowContext,
  type WorkflowDefinition,
  type WorkflowOptions,
  type WorkflowTools,
} from "./workflow.ts";
