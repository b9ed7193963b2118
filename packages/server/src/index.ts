/**
 * The Pylon server, as a library: load an app, configure, start, stop.
 *
 * @module
 */
export { AppNotFoundError, loadApp, type LoadedApp } from "./app/load-app.ts";
export { checkReplay, type ReplayCheck } from "./app/check-replay.ts";
export { functionNames } from "./app/load-functions.ts";
export { watchApp, type AppPart } from "./app/watch-app.ts";
export { compileApp } from "./app/compile-app.ts";
export { ConfigError, type Config } from "./config/config.ts";
export { loadConfig } from "./config/load-config.ts";
export { fileSettings } from "./files/file-settings.ts";
export { resolvePlugins } from "./plugins/plugin-config.ts";
export { isOAuthSecret, isOAuthVariable, OAUTH_VARIABLES } from "./config/oauth-variables.ts";
export { UNREAD_VARIABLES } from "./config/unread-variables.ts";
export { VARIABLES } from "./config/variables.ts";
export {
  createServer,
  SERVER_VERSION,
  type BackupOutcome,
  type PylonServer,
  type ServerOptions,
} from "./server.ts";
export type { RouteSummary } from "./request/route.ts";
export type { Diagnostic } from "./schema/diagnostic.ts";
export { describeStep } from "./schema/describe-step.ts";
export { planMigration } from "./schema/diff.ts";
export { planStart } from "./schema/start-plan.ts";
export { validateManifest } from "./schema/validate-manifest.ts";
export { PylonStartError } from "./start-error.ts";
export { copyRows, firstFilled, hasUnfinishedCopy, type CopiedRows } from "./store/copy-rows.ts";
export { inspectData } from "./store/inspect-data.ts";
export { applyMigration, migrateToManifest } from "./store/migrate-to-manifest.ts";
export { dataMigrationStates, type DataMigrationState } from "./data/data-migrations.ts";
export { migrationHistory, type MigrationHistory } from "./store/migration-history.ts";
export { openStore } from "./open-store.ts";
export { describeDatabase } from "./store/open-store.ts";
export { peekManifest } from "./store/peek-manifest.ts";
export { copyDatabase } from "./store/sqlite/copy-database.ts";
export { ServerLock } from "./store/sqlite/server-lock.ts";
