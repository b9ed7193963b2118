import type { Command } from "./command.ts";

/** Every command by its name, in the order of the usage. What runs loads no other one. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  init: async () => (await import("./commands/init.ts")).init,
  dev: async () => (await import("./commands/dev.ts")).dev,
  start: async () => (await import("./commands/start.ts")).start,
  health: async () => (await import("./commands/health.ts")).health,
  migrate: async () => (await import("./commands/migrate.ts")).migrate,
  seed: async () => (await import("./commands/seed.ts")).seed,
  backup: async () => (await import("./commands/backup.ts")).backup,
  restore: async () => (await import("./commands/restore.ts")).restore,
  resync: async () => (await import("./commands/resync.ts")).resync,
  codegen: async () => (await import("./commands/codegen.ts")).codegen,
  test: async () => (await import("./commands/test.ts")).test,
  env: async () => (await import("./commands/env.ts")).env,
  doctor: async () => (await import("./commands/doctor.ts")).doctor,
  deploy: async () => (await import("./commands/deploy.ts")).deploy,
  secrets: async () => (await import("./commands/secrets.ts")).secrets,
  logs: async () => (await import("./commands/logs.ts")).logs,
  jobs: async () => (await import("./commands/jobs.ts")).jobs,
  crons: async () => (await import("./commands/crons.ts")).crons,
  workflows: async () => (await import("./commands/workflows.ts")).workflows,
  metrics: async () => (await import("./commands/metrics.ts")).metrics,
  cost: async () => (await import("./commands/cost.ts")).cost,
  explain: async () => (await import("./commands/explain.ts")).explain,
  compile: async () => (await import("./commands/compile.ts")).compile,
  version: async () => (await import("./commands/version.ts")).version,
};
