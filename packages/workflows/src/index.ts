/**
 * Write durable workflows: one file in `workflows/`, one default export.
 *
 * @module
 */
export { parseDuration } from "./duration.ts";
export { StepFailedError } from "./step-failed-error.ts";
export {
  isWorkflow,
  workflow,
  type StepContext,
  type StepOptions,
  type TypedWorkflow,
  type WorkflowContext,
  type WorkflowDefinition,
  type WorkflowOptions,
  type WorkflowTools,
} from "./workflow.ts";
