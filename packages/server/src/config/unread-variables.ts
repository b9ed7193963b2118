import type { Environment } from "./variable-reader.ts";

/** Variables that other servers read and this one does not, with their replacement. */
export interface UnreadVariables {
  readonly names: readonly string[];
  /** One sentence or two. */
  readonly instead: string;
}

const SSO = "SAML, SCIM and acting as an identity provider are not supported";

/**
 * All variables that the public system documents and that are not in VARIABLES: setting one causes
 * a warning at the start, so that nobody relies on it.
 */
export const UNREAD_VARIABLES: readonly UnreadVariables[] = [
  {
    names: ["PYLON_API_KEY_PEPPER"],
    instead: "API keys are random and stored as hashes; they need no pepper.",
  },
  {
    names: ["PYLON_CAPTCHA_PROVIDER", "PYLON_CAPTCHA_SECRET", "PYLON_CAPTCHA_MIN_SCORE"],
    instead:
      "Sign-ups are rate-limited by IP address; reject others in auth({ hooks: { " +
      "onSignUp } }).",
  },
  {
    names: ["PYLON_DASHBOARD_URL"],
    instead:
      "Use PYLON_PUBLIC_URL, and the callback parameter of each sign-in for its redirect " +
      "target.",
  },
  {
    names: ["PYLON_DISABLE_HIBP"],
    instead: "Passwords are checked against a local list and never sent to a service.",
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
    instead: "Files are served by this server at /api/files, which checks the policies.",
  },
  {
    names: ["PYLON_FUNCTIONS_RUNTIME"],
    instead:
      "Functions run in the server's own process, or in separate processes as set by " +
      "PYLON_FUNCTION_ISOLATION.",
  },
  {
    names: ["PYLON_SESSION_DB", "PYLON_SESSION_IN_MEMORY", "PYLON_JOBS_DB", "PYLON_JOBS_IN_MEMORY"],
    instead:
      "Sessions and jobs are stored in the same database as the rows and survive a restart: use " +
      "PYLON_DB_PATH, DATABASE_URL or PYLON_IN_MEMORY.",
  },
  {
    names: ["PYLON_JWT_ISSUER", "PYLON_JWT_LIFETIME_SECS"],
    instead:
      "The audience of a JWT is the app, and it expires after 15 minutes, see " +
      "PYLON_JWT_SECRET.",
  },
  {
    names: ["PYLON_MANIFEST"],
    instead: "Pass the app's folder or entry file: `pylon start DIR`.",
  },
  {
    names: ["PYLON_OAUTH_REFRESH_BUFFER_SECS"],
    instead: "Refresh a provider's token with POST /api/auth/oauth/refresh/PROVIDER.",
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
    instead: `${SSO}: use an OIDC provider, see PYLON_OAUTH_<NAME>_OIDC_ISSUER.`,
  },
  {
    names: ["PYLON_STACK0_API_KEY", "PYLON_STACK0_BASE_URL", "PYLON_STACK0_FOLDER"],
    instead: "Use PYLON_S3_BUCKET for files, and PYLON_SMTP_URL or PYLON_EMAIL_PROVIDER for mail.",
  },
  {
    names: ["PYLON_STRIPE_API_KEY", "PYLON_STRIPE_WEBHOOK_SECRET"],
    instead: "Implement billing as an action and a webhook, with the keys from ctx.env.",
  },
  {
    names: ["PYLON_TOTP_ENCRYPTION_KEY"],
    instead: "Use PYLON_SSO_ENCRYPTION_KEY.",
  },
  {
    names: ["PYLON_TOTP_ISSUER"],
    instead: "Authenticator apps show the app's name from its manifest.",
  },
  {
    names: ["PYLON_TWILIO_ACCOUNT_SID", "PYLON_TWILIO_AUTH_TOKEN", "PYLON_TWILIO_FROM"],
    instead: "Sign-in by phone is not supported: use mail codes or links, passkeys or TOTP.",
  },
  {
    names: ["PYLON_WEBAUTHN_ORIGIN", "PYLON_WEBAUTHN_RP_ID"],
    instead: "Passkeys use the host of PYLON_PUBLIC_URL.",
  },
];

/** Returns those of them that are set. */
export function unreadVariablesIn(environment: Environment): UnreadVariables[] {
  return UNREAD_VARIABLES.map(({ names, instead }) => ({
    names: names.filter((name) => (environment[name] ?? "") !== ""),
    instead,
  })).filter(({ names }) => names.length > 0);
}
