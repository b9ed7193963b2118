import type { Command } from "./command.ts";
import { backup } from "./commands/backup.ts";
import { codegen } from "./commands/codegen.ts";
import { cost } from "./commands/cost.ts";
import { deploy } from "./commands/deploy.ts";
import { compile } from "./commands/compile.ts";
import { dev } from "./commands/dev.ts";
import { doctor } from "./commands/doctor.ts";
import { health } from "./commands/health.ts";
import { init } from "./commands/init.ts";
import { logs } from "./commands/logs.ts";
import { metrics } from "./commands/metrics.ts";
import { migrate } from "./commands/migrate.ts";
import { restore } from "./commands/restore.ts";
import { resync } from "./commands/resync.ts";
import { secrets } from "./commands/secrets.ts";
import { start } from "./commands/start.ts";
import { version } from "./commands/version.ts";

/** Every command, in the order of the usage. */
export const COMMANDS: readonly Command[] = [
  init,
  dev,
  start,
  health,
  migrate,
  backup,
  restore,
  resync,
  codegen,
  doctor,
  deploy,
  secrets,
  logs,
  metrics,
  cost,
  compile,
  version,
];
