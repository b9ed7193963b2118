/**
 * Write server functions: one file in `functions/`, one default export.
 *
 * @module
 */
export { parseArgs, parseResult, parseValue, problemOf } from "./check.ts";
export * from "./context.ts";
export {
  action,
  internalAction,
  internalMutation,
  internalQuery,
  mutation,
  query,
  type FnDefinition,
  type FnType,
  type TypedFn,
  WEBHOOK_METHODS,
  type WebhookMethod,
  type WebhookOptions,
} from "./definition.ts";
export {
  shard,
  type ShardDefinition,
  type ShardOptions,
  type ShardPlayer,
  type ShardSettings,
  type ShardStep,
  type TypedShard,
} from "./shard.ts";
export {
  v,
  type Infer,
  type InferArgs,
  type InferShape,
  type Shape,
  type Validator,
} from "./validators.ts";
