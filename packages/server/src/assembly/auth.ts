import { createAuth } from "../auth/auth.ts";
import { accountEmailJob } from "../functions/email.ts";
import type { Identity, SessionStatus } from "../identity/identity.ts";
import type { Base } from "./base.ts";

/** Users, sessions and sign-in. */
export type AuthParts = ReturnType<typeof createAuth>;

/** Creates authentication, with the settings and the code of the app. */
export function authOf({ store, app, options, committer, data, jobs, studio }: Base): AuthParts {
  const { config, log, platform, mailer, oauthEndpoints } = options;
  return createAuth({
    ...config,
    store,
    reader: data.reader,
    committer,
    model: data.model,
    platform,
    mailer,
    mailQueue: {
      add: (tx, mail) => jobs.add(tx, accountEmailJob(mail, jobs.now())),
      wake: () => jobs.wake([jobs.now()]),
    },
    oauthEndpoints,
    adminTokens: [config.adminToken, studio.devToken].filter((token) => token !== null),
    manifest: () => app.current.manifest,
    code: () => app.current.authCode,
    trustedOrigins: [
      ...config.trustedOrigins,
      ...config.corsOrigins.filter((origin) => origin !== "*"),
    ],
    hasMcp: app.current.manifest.plugins?.some(({ name }) => name === "mcp") === true,
    onError: (message, error) => log.error(message, error),
  });
}

/** Returns the current status of an identity: of its session, or of its key. */
export async function statusOf(
  { sessionId, caller }: Identity,
  { sessions, apiKeys }: AuthParts,
): Promise<SessionStatus> {
  if (sessionId !== null) return sessions.sessionStatus(sessionId, caller);
  return caller.apiKeyId === null ? "valid" : apiKeys.sessionStatus(caller.apiKeyId, caller);
}
