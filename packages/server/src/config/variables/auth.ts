import {
  cookieName,
  domain,
  exactOrigins,
  flag,
  oneOf,
  origin,
  origins,
  text,
  whole,
} from "./parsers.ts";
import { variable } from "./variable.ts";

/** Who may call, from which pages, and what signs and encrypts. */
export const AUTH_VARIABLES = {
  PYLON_ADMIN_TOKEN: variable<string | undefined>({
    wants: "a token of at least 16 characters",
    doc: "The bearer of this token is the admin. Without it there is none.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_CORS_ORIGIN: variable<string[] | undefined>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc:
      "Web pages of other origins that may call the API and open sockets. The server's own " +
      "origin always may; in dev mode also pages of this machine at any port, such as a " +
      "front-end dev server's. `*` only in dev mode.",
    fallback: undefined,
    parse: origins,
  }),
  PYLON_PUBLIC_URL: variable<string | undefined>({
    wants: "an origin such as https://api.example.com",
    doc:
      "Where browsers find this server: links in mails, OAuth callbacks and passkeys need it. " +
      "Without it the address that a request came to.",
    fallback: undefined,
    parse: origin,
  }),
  PYLON_TRUSTED_ORIGINS: variable<string[]>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc:
      "Pages that may send cookies, and may be redirected to after a sign-in, beside those of " +
      "PYLON_CORS_ORIGIN and the app's `auth.trustedOrigins`.",
    fallback: [],
    parse: exactOrigins,
  }),
  PYLON_CSRF_ORIGINS: variable<string[]>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc: "Further pages that may write with a cookie.",
    fallback: [],
    parse: exactOrigins,
  }),
  PYLON_COOKIE_NAME: variable<string | undefined>({
    wants: "a cookie's name",
    doc: "The session cookie; by default the app's name and `_session`.",
    fallback: undefined,
    parse: cookieName,
  }),
  PYLON_COOKIE_DOMAIN: variable<string | undefined>({
    wants: "a domain",
    doc: "The domain whose hosts share the session cookie; by default this host only.",
    fallback: undefined,
    parse: domain,
  }),
  PYLON_COOKIE_SAME_SITE: variable<"lax" | "strict" | "none">({
    wants: "lax, strict or none",
    doc: "`none` lets pages of other sites that are trusted use the cookie.",
    fallback: "lax",
    parse: oneOf("lax", "strict", "none"),
  }),
  PYLON_COOKIE_SECURE: variable({
    wants: "1 or 0",
    doc: "Whether the cookie is sent over https only.",
    fallback: true,
    devFallback: false,
    parse: flag,
  }),
  PYLON_HSTS_MAX_AGE: variable({
    wants: "seconds from 0 to 63072000",
    doc:
      "How long browsers are to reach this host over https only (`Strict-Transport-Security`), " +
      "in seconds; 0 does not say so. It is said where PYLON_PUBLIC_URL is https.",
    fallback: 31_536_000,
    devFallback: 0,
    parse: whole(0, 63_072_000),
  }),
  PYLON_SSO_ENCRYPTION_KEY: variable<string | undefined>({
    wants: "a secret of at least 32 characters",
    doc:
      "Encrypts what is kept of others' secrets: tokens of OAuth providers, seeds of " +
      "authenticator apps. Dev mode does without.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_JWT_SECRET: variable<string | undefined>({
    wants: "a secret of at least 32 characters",
    doc: "Signs the short-lived tokens of `/api/auth/jwt`, which other services check with it.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
} as const;
