/**
 * Defines server functions: one file in `functions/`, with one default export.
 *
 * @module
 */
export { parseArgs, parseResult, parseValue, problemOf } from "./check.ts";
export type * from "./context.ts";
export type * from "./context/cache.ts";
export type * from "./context/db.ts";
export type * from "./context/db-queries.ts";
export type * from "./context/email.ts";
export type * from "./context/log.ts";
export type * from "./context/scheduler.ts";
export type * from "./context/storage.ts";
export type * from "./context/workflows.ts";
export {
  checkDeclaredErrors,
  checkedError,
  errorMaker,
  functionError,
  type DeclaredErrorMaker,
  type DeclaredErrors,
  type ErrorData,
  type RunError,
} from "./declared-errors.ts";
export {
  action,
  internalAction,
  internalMutation,
  internalQuery,
  mutation,
  query,
  type CallerArgs,
  type DeclaredArgs,
  type FnDefinition,
  type FnType,
  type HandlerArgs,
  type TypedFn,
  WEBHOOK_METHODS,
  type WebhookMethod,
  type WebhookOptions,
} from "./definition.ts";
export { html, Html } from "./html.ts";
export {
  checkHttpOptions,
  http,
  HTTP_METHODS,
  httpAction,
  type HttpCors,
  type HttpCtx,
  type HttpDefinition,
  type HttpMethod,
  type HttpOptions,
  type HttpParams,
} from "./http.ts";
export {
  verifyGithub,
  verifyStripe,
  verifySvix,
  type SignedRequest,
  type VerifiedWebhook,
  type VerifyOptions,
} from "./webhook-signatures.ts";
export {
  callHandler,
  Continued,
  middleware,
  type AddedBy,
  type AnyMiddleware,
  type Middleware,
  type MiddlewareCall,
} from "./middleware.ts";
export {
  checkFunctionOptions,
  type FunctionAuth,
  type FunctionOptions,
  type FunctionRateLimit,
} from "./options.ts";
export {
  shard,
  type MatchRules,
  type ShardDefinition,
  type ShardOptions,
  type ShardPlayer,
  type ShardInputStep,
  type ShardSettings,
  type ShardStep,
  type TypedShard,
} from "./shard.ts";
export type { HistoryRules, PastMoment } from "./shard-history.ts";
export type {
  GetFromShard,
  ReadFromShard,
  RunFromShard,
  ShardCallError,
  ShardCallOptions,
  ShardLogLevel,
  ShardLogLine,
  ShardResult,
  ShardTimer,
} from "./shard-work.ts";
export { recordRulesOf, type CompleteRecordRules, type RecordRules } from "./shard-record.ts";
export type {
  InterestDefinition,
  InterestRules,
  InterestSettings,
  ShardPosition,
  ThingOf,
} from "./shard-interest.ts";
export { isStandardSchema, jsonSchemaOf, type StandardSchema } from "./standard-schema.ts";
export {
  v,
  type Infer,
  type InferArgs,
  type InferShape,
  type Shape,
  type Validator,
} from "./validators.ts";
export { installTestIsolation, resetDb, type TestIsolationOptions } from "./test-isolation.ts";
