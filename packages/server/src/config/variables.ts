import { AI_VARIABLES } from "./variables/ai.ts";
import { AUTH_VARIABLES } from "./variables/auth.ts";
import { DATABASE_VARIABLES } from "./variables/database.ts";
import { FILES_VARIABLES } from "./variables/files.ts";
import { LIMITS_VARIABLES } from "./variables/limits.ts";
import { MAIL_VARIABLES } from "./variables/mail.ts";
import { REDIS_VARIABLES } from "./variables/redis.ts";
import { SERVER_VARIABLES } from "./variables/server.ts";
import { TELEMETRY_VARIABLES } from "./variables/telemetry.ts";
import { TRAFFIC_VARIABLES } from "./variables/traffic.ts";
import { WORKFLOW_VARIABLES } from "./variables/workflows.ts";

/** All variables except those of OAuth clients, in the order of docs/configuration.md. */
export const VARIABLES = {
  ...SERVER_VARIABLES,
  ...DATABASE_VARIABLES,
  ...AUTH_VARIABLES,
  ...MAIL_VARIABLES,
  ...TRAFFIC_VARIABLES,
  ...TELEMETRY_VARIABLES,
  ...LIMITS_VARIABLES,
  ...REDIS_VARIABLES,
  ...FILES_VARIABLES,
  ...AI_VARIABLES,
  ...WORKFLOW_VARIABLES,
} as const;

/** The name of one of those variables. */
export type VariableName = keyof typeof VARIABLES;
