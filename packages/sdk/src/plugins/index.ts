/**
 * Plugins for `buildManifest`. Each only uses the public interface of `definePlugin`.
 *
 * @module
 */
export { aiProxy, aiSettingsIn, type AiProxyOptions, type AiSettings } from "./ai-proxy.ts";
export { auditLog, type AuditLogOptions } from "./audit-log.ts";
export { cascade, type CascadeOptions } from "./cascade.ts";
export { computed, type ComputedOptions } from "./computed.ts";
export {
  email,
  EMAIL_JOB,
  EMAIL_QUEUE,
  EMAIL_RETRIES,
  type EmailContent,
  type EmailEvent,
  type EmailOptions,
  type EmailSend,
} from "./email.ts";
export {
  computationsFor,
  rulesFor,
  type ComputationsOf,
  type RulesOf,
  type WrittenRowOf,
} from "./fields-for.ts";
export { featureFlags, isFlagOn, type FlagCaller, type FlagRow } from "./feature-flags.ts";
export { mcp, mcpToolsOf, type McpAccess, type McpOptions, type McpTools } from "./mcp.ts";
export { rateLimit, type RateLimitOptions } from "./rate-limit.ts";
export {
  slugify,
  slugOf,
  type SlugFields,
  type SlugifyOptions,
  type SlugOptions,
} from "./slugify.ts";
export { sendFor, type EmailEventOf, type EmailSendOf } from "./send-for.ts";
export { softDelete, type SoftDeleteFields, type SoftDeleteOptions } from "./soft-delete.ts";
export { tenantScope, type TenantFields, type TenantScopeOptions } from "./tenant-scope.ts";
export { timestamps, type TimestampsOptions } from "./timestamps.ts";
export { validation, type ValidationOptions, type ValidationRule } from "./validation.ts";
export { versioning, type VersioningOptions } from "./versioning.ts";
export {
  endpointsOf,
  WEBHOOK_JOB,
  WEBHOOK_QUEUE,
  webhooks,
  type WebhookEndpoint,
  type WebhooksOptions,
} from "./webhooks.ts";
