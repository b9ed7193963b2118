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

/** Variables of callers, of origins, and of the keys that sign and encrypt. */
export const AUTH_VARIABLES = {
  PYLON_ADMIN_TOKEN: variable<string | undefined>({
    wants: "a token of at least 16 characters",
    doc: "The bearer token of the admin. If it is not set, there is no admin access.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_CORS_ORIGIN: variable<string[] | undefined>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc:
      "Other origins whose pages may call the API and open sockets. The server's own origin is " +
      "always allowed; in dev mode also pages of this machine at any port, such as those of a " +
      "front-end dev server. `*` is allowed only in dev mode.",
    fallback: undefined,
    parse: origins,
  }),
  PYLON_PUBLIC_URL: variable<string | undefined>({
    wants: "an origin such as https://api.example.com",
    doc:
      "The origin under which browsers reach this server. It is used for links in mails, OAuth " +
      "callbacks and passkeys. Default: the address of the request.",
    fallback: undefined,
    parse: origin,
  }),
  PYLON_TRUSTED_ORIGINS: variable<string[]>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc:
      "Origins whose pages may send cookies and be redirected to after a sign-in, in addition " +
      "to those of PYLON_CORS_ORIGIN and the app's `auth.trustedOrigins`.",
    fallback: [],
    parse: exactOrigins,
  }),
  PYLON_CSRF_ORIGINS: variable<string[]>({
    wants: "origins such as https://app.example.com, separated by commas",
    doc: "Additional origins whose pages may send write requests with the cookie.",
    fallback: [],
    parse: exactOrigins,
  }),
  PYLON_COOKIE_NAME: variable<string | undefined>({
    wants: "a cookie's name",
    doc: "The name of the session cookie; default the app's name followed by `_session`.",
    fallback: undefined,
    parse: cookieName,
  }),
  PYLON_COOKIE_DOMAIN: variable<string | undefined>({
    wants: "a domain",
    doc: "The domain whose hosts share the session cookie; default this host only.",
    fallback: undefined,
    parse: domain,
  }),
  PYLON_COOKIE_SAME_SITE: variable<"lax" | "strict" | "none">({
    wants: "lax, strict or none",
    doc:
      "The cookie's `SameSite` attribute. `none` allows trusted pages of other sites to use the " +
      "cookie.",
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
      "How long browsers must use https for this host, in seconds " +
      "(`Strict-Transport-Security`); 0 omits the header. It is sent only if PYLON_PUBLIC_URL " +
      "is https.",
    fallback: 31_536_000,
    devFallback: 0,
    parse: whole(0, 63_072_000),
  }),
  PYLON_SSO_ENCRYPTION_KEY: variable<string | undefined>({
    wants: "a secret of at least 32 characters",
    doc:
      "Encrypts stored secrets: tokens of OAuth providers, seeds of authenticator apps, account " +
      "mails waiting to be sent, and encrypted fields. Not required in dev mode.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_JWT_SECRET: variable<string | undefined>({
    wants: "a secret of at least 32 characters",
    doc: "Signs the short-lived tokens of `/api/auth/jwt`; other services verify them with it.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
} as const;
