import type { Environment } from "./variable-reader.ts";

/** Variables that other servers read and this one does not, with what takes their place. */
export interface UnreadVariables {
  readonly names: readonly string[];
  /** One sentence or two. */
  readonly instead: string;
}

const SSO = "Single sign-on by SAML, SCIM and an identity provider of its own is not part of it";

/**
 * All that the public system's documents name and that is not in VARIABLES: to set one is answered
 * at the start, so that nobody believes it to work.
 */
export const UNREAD_VARIABLES: readonly UnreadVariables[] = [
  {
    names: ["PYLON_AI_PROVIDER", "PYLON_AI_API_KEY", "PYLON_AI_BASE_URL", "PYLON_AI_MODEL"],
    instead: "Call the provider from an action, with the key from ctx.env.",
  },
  {
    names: ["PYLON_API_KEY_PEPPER"],
    instead: "API keys are random and kept as hashes: they need none.",
  },
  {
    names: ["PYLON_CAPTCHA_PROVIDER", "PYLON_CAPTCHA_SECRET", "PYLON_CAPTCHA_MIN_SCORE"],
    instead: "Sign-ups are counted by address; refuse more in auth({ hooks: { onSignUp } }).",
  },
  {
    names: ["PYLON_DASHBOARD_URL"],
    instead: "Use PYLON_PUBLIC_URL, and the callback of each sign-in for where it goes on.",
  },
  {
    names: ["PYLON_DISABLE_HIBP"],
    instead: "Passwords are compared with a list on this machine, and sent nowhere.",
  },
  {
    names: ["PYLON_EMAIL_ENDPOINT"],
    instead: "Use PYLON_EMAIL_HTTP_URL with PYLON_EMAIL_PROVIDER=webhook.",
  },
  {
    names: ["PYLON_EMAIL_TEMPLATE_MAGIC_CODE_SUBJECT", "PYLON_EMAIL_TEMPLATE_MAGIC_CODE_BODY"],
    instead: "Use auth({ mails }) in app.ts.",
  },
  {
    names: ["PYLON_FILES_URL_PREFIX", "PYLON_S3_PUBLIC_URL"],
    instead: "Files are served by this server at /api/files, which asks the policies.",
  },
  {
    names: ["PYLON_FUNCTIONS_RUNTIME"],
    instead: "Functions run in the server's own process.",
  },
  {
    names: ["PYLON_SESSION_DB", "PYLON_SESSION_IN_MEMORY", "PYLON_JOBS_DB", "PYLON_JOBS_IN_MEMORY"],
    instead:
      "Sessions and jobs are in the database of the rows, and outlast a restart: " +
      "use PYLON_DB_PATH, DATABASE_URL or PYLON_IN_MEMORY.",
  },
  {
    names: ["PYLON_JWT_ISSUER", "PYLON_JWT_LIFETIME_SECS"],
    instead: "A JWT names the app as its audience and ends after 15 minutes, see PYLON_JWT_SECRET.",
  },
  {
    names: ["PYLON_MANIFEST"],
    instead: "Name the app's folder or entry: `pylon start DIR`.",
  },
  {
    names: ["PYLON_OAUTH_REFRESH_BUFFER_SECS"],
    instead: "A provider's token is renewed by POST /api/auth/oauth/refresh/PROVIDER.",
  },
  {
    names: [
      "PYLON_OIDC_ISSUER",
      "PYLON_OIDC_JWKS_KID",
      "PYLON_OIDC_JWKS_RSA_N",
      "PYLON_OIDC_JWKS_RSA_E",
      "PYLON_SAML_ENTITY_ID",
      "PYLON_SCIM_TOKEN",
      "PYLON_SSO_ALLOWED_DOMAINS",
    ],
    instead: `${SSO}: sign in by an OIDC provider, see PYLON_OAUTH_<NAME>_OIDC_ISSUER.`,
  },
  {
    names: ["PYLON_STACK0_API_KEY", "PYLON_STACK0_BASE_URL", "PYLON_STACK0_FOLDER"],
    instead: "Use PYLON_S3_BUCKET for files, and PYLON_SMTP_URL or PYLON_EMAIL_PROVIDER for mail.",
  },
  {
    names: ["PYLON_STRIPE_API_KEY", "PYLON_STRIPE_WEBHOOK_SECRET"],
    instead: "Write billing as an action and a webhook, with the keys from ctx.env.",
  },
  {
    names: ["PYLON_TOTP_ENCRYPTION_KEY"],
    instead: "Use PYLON_SSO_ENCRYPTION_KEY.",
  },
  {
    names: ["PYLON_TOTP_ISSUER"],
    instead: "Authenticator apps show the app's name in its manifest.",
  },
  {
    names: ["PYLON_TWILIO_ACCOUNT_SID", "PYLON_TWILIO_AUTH_TOKEN", "PYLON_TWILIO_FROM"],
    instead: "There is no sign-in by phone: use codes or links by mail, passkeys or TOTP.",
  },
  {
    names: ["PYLON_WEBAUTHN_ORIGIN", "PYLON_WEBAUTHN_RP_ID"],
    instead: "Passkeys are made for the host of PYLON_PUBLIC_URL.",
  },
  {
    names: ["PYLON_WORKFLOW_RUNNER_URL"],
    instead: "Write the steps as functions that call each other by ctx.scheduler.",
  },
];

/** Those of them that are set. */
export function unreadVariablesIn(environment: Environment): UnreadVariables[] {
  return UNREAD_VARIABLES.map(({ names, instead }) => ({
    names: names.filter((name) => (environment[name] ?? "") !== ""),
    instead,
  })).filter(({ names }) => names.length > 0);
}
