import { expect, test } from "bun:test";
import { loadConfig } from "./load-config.ts";
import { VARIABLES } from "./variables.ts";
import { UNREAD_VARIABLES, unreadVariablesIn } from "./unread-variables.ts";

test("a variable that is read is not listed as unread, and each is listed once", () => {
  const names = UNREAD_VARIABLES.flatMap((group) => group.names);
  expect(names.filter((name) => Object.hasOwn(VARIABLES, name))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
  for (const { instead } of UNREAD_VARIABLES) {
    for (const [name] of instead.matchAll(/PYLON_[A-Z0-9_]+(?!<)\b/g))
      expect([name, Object.hasOwn(VARIABLES, name) || name.startsWith("PYLON_OAUTH")]).toEqual([
        name,
        true,
      ]);
  }
});

test("set variables are found, with their replacement", () => {
  expect(unreadVariablesIn({ PYLON_PORT: "1", PYLON_STRIPE_API_KEY: "" })).toEqual([]);
  expect(
    unreadVariablesIn({ PYLON_SESSION_DB: "s.db", PYLON_JOBS_DB: "j.db", PYLON_TOTP_ISSUER: "x" }),
  ).toMatchObject([
    { names: ["PYLON_SESSION_DB", "PYLON_JOBS_DB"], instead: expect.stringContaining("DB_PATH") },
    { names: ["PYLON_TOTP_ISSUER"] },
  ]);
});

/** The variables of the public system's pages on configuration and deployment. */
const DOCUMENTED: Readonly<Record<string, readonly string[]>> = {
  PYLON_: ["ADMIN_TOKEN", "API_KEY_PEPPER", "CORS_ORIGIN", "CSRF_ORIGINS", "DASHBOARD_URL"],
  PYLON_AI_: ["PROVIDER", "API_KEY", "BASE_URL", "MODEL"],
  PYLON_CAPTCHA_: ["PROVIDER", "SECRET", "MIN_SCORE"],
  PYLON_COOKIE_: ["NAME", "DOMAIN", "SAME_SITE"],
  PYLON_DISABLE_: ["HIBP"],
  PYLON_EMAIL_: ["PROVIDER", "API_KEY", "FROM", "ENDPOINT"],
  PYLON_EMAIL_TEMPLATE_MAGIC_CODE_: ["SUBJECT", "BODY"],
  PYLON_FILES_: ["DIR", "PROVIDER", "URL_PREFIX"],
  PYLON_FUNCTIONS_: ["DIR", "RUNTIME"],
  PYLON_JOBS_: ["DB", "IN_MEMORY"],
  PYLON_JWT_: ["SECRET", "ISSUER", "LIFETIME_SECS"],
  PYLON_OAUTH_REFRESH_: ["BUFFER_SECS"],
  PYLON_OIDC_: ["ISSUER", "JWKS_KID", "JWKS_RSA_N", "JWKS_RSA_E"],
  PYLON_S3_: ["BUCKET", "REGION", "ENDPOINT", "ACCESS_KEY", "SECRET_KEY", "PUBLIC_URL"],
  PYLON_SESSION_: ["DB", "IN_MEMORY"],
  PYLON_SSO_: ["ALLOWED_DOMAINS", "ENCRYPTION_KEY"],
  PYLON_STACK0_: ["API_KEY", "BASE_URL", "FOLDER"],
  PYLON_STRIPE_: ["API_KEY", "WEBHOOK_SECRET"],
  PYLON_TOTP_: ["ENCRYPTION_KEY", "ISSUER"],
  PYLON_TWILIO_: ["ACCOUNT_SID", "AUTH_TOKEN", "FROM"],
  PYLON_WEBAUTHN_: ["ORIGIN", "RP_ID"],
  "": [
    ...["PYLON_DB_PATH", "PYLON_DEV_MODE", "PYLON_DRAIN_SECS", "PYLON_FN_RATE_LIMIT_MAX"],
    ...["PYLON_IN_MEMORY", "PYLON_LOG_FORMAT", "PYLON_MANIFEST", "PYLON_PORT"],
    ...["PYLON_PUBLIC_URL", "PYLON_RATE_LIMIT_MAX", "PYLON_SAML_ENTITY_ID", "PYLON_SCIM_TOKEN"],
    ...["PYLON_TRUSTED_ORIGINS", "PYLON_TRUST_PROXY_HOPS", "PYLON_WORKFLOW_RUNNER_URL"],
    ...["PYLON_WS_MAX_FRAME", "DATABASE_URL", "REDIS_URL"],
  ],
};

test("each variable of the public system is read, or has a replacement", () => {
  const names = Object.entries(DOCUMENTED).flatMap(([prefix, ends]) =>
    ends.map((end) => prefix + end),
  );
  const unread = unreadVariablesIn(Object.fromEntries(names.map((name) => [name, "x"])));
  const answered = unread.flatMap((group) => group.names);
  expect(
    names.filter((name) => !Object.hasOwn(VARIABLES, name) && !answered.includes(name)),
  ).toEqual([]);
});

test("PYLON_LOG_FORMAT=pretty is text", () => {
  expect(
    loadConfig({ PYLON_LOG_FORMAT: "pretty", PYLON_ADMIN_TOKEN: "x".repeat(32) }),
  ).toMatchObject({ logFormat: "text" });
});
