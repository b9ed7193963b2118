import { isScope } from "../../identity/key-scope.ts";
import type { RequestContext } from "../../request/context.ts";
import { JsonAnswer, type Answer } from "../../request/responses.ts";
import type { Handler } from "../../request/route-table.ts";
import { sha256 } from "../../util/sha256.ts";
import { isSameHash } from "../security/secrets.ts";

/** The scopes that are granted if a client does not name any. */
export const DEFAULT_SCOPES: readonly string[] = ["read", "write", "functions"];
/** The hosts of loopback redirect URIs (RFC 8252, section 7.3). */
const LOOPBACK: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];
const MAX_PARAMS_LENGTH = 8192;
const MAX_SCOPES = 20;
const MAX_REDIRECT_URI = 2000;
const CHALLENGE = /^[\w-]{43}$/;
const VERIFIER = /^[\w.~-]{43,128}$/;

/** The error codes of RFC 6749, 7591 and 8707 that this server returns. */
export type OAuthErrorCode =
  | "invalid_client"
  | "invalid_client_metadata"
  | "invalid_grant"
  | "invalid_redirect_uri"
  | "invalid_request"
  | "invalid_scope"
  | "invalid_target"
  | "temporarily_unavailable"
  | "unsupported_grant_type"
  | "unsupported_response_type";

/** An error with one of the error codes of OAuth. */
export class OAuthError extends Error {
  readonly code: OAuthErrorCode;

  constructor(code: OAuthErrorCode, message: string) {
    super(message);
    this.name = "OAuthError";
    this.code = code;
  }
}

/** A response that must not be cached: it contains tokens, or may differ the next time. */
export function uncached(body: unknown, status = 200): JsonAnswer {
  return new JsonAnswer(body, status, { "Cache-Control": "no-store" });
}

/** Wraps a handler, so that its `OAuthError` is sent in the format that OAuth clients expect. */
export function forOAuthClients<S>(handle: Handler<S>): Handler<S> {
  return async (services, context): Promise<Answer> => {
    try {
      return await handle(services, context);
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error;
      const status = error.code === "temporarily_unavailable" ? 503 : 400;
      return uncached({ error: error.code, error_description: error.message }, status);
    }
  };
}

/** The parameters of a request. Each may be given only once (OAuth 2.1, section 3.1). */
export class OAuthParams {
  readonly #params: URLSearchParams;

  /** @throws OAuthError invalid_request */
  constructor(encoded: string) {
    if (encoded.length > MAX_PARAMS_LENGTH)
      throw new OAuthError(
        "invalid_request",
        `The parameters have more than ${MAX_PARAMS_LENGTH} characters.`,
      );
    this.#params = new URLSearchParams(encoded);
    const names = [...this.#params.keys()];
    const repeated = names.find((name, index) => names.indexOf(name) !== index);
    if (repeated !== undefined)
      throw new OAuthError("invalid_request", `"${repeated.slice(0, 80)}" is given twice.`);
  }

  /** Reads the parameters of a form. @throws OAuthError invalid_request */
  static async ofForm(context: RequestContext): Promise<OAuthParams> {
    const type = context.request.headers.get("content-type") ?? "";
    if (!type.toLowerCase().startsWith("application/x-www-form-urlencoded"))
      throw new OAuthError(
        "invalid_request",
        "Send the parameters as application/x-www-form-urlencoded.",
      );
    return new OAuthParams(await context.text());
  }

  /** @throws OAuthError invalid_request when it is missing */
  text(name: string): string {
    const value = this.optional(name);
    if (value !== null) return value;
    throw new OAuthError("invalid_request", `The parameter "${name}" is missing.`);
  }

  /** A parameter without a value counts as missing. */
  optional(name: string): string | null {
    return this.#params.get(name) || null;
  }
}

/**
 * Returns the scopes that a client requests. Unknown scopes are ignored, as OAuth allows.
 *
 * @throws OAuthError invalid_scope if none of them is known, or more than 20 are
 */
export function scopesOf(requested: string | null): readonly string[] {
  if (requested === null) return DEFAULT_SCOPES;
  const scopes = new Set(requested.split(" ").filter(isScope));
  if (scopes.size === 0 || scopes.size > MAX_SCOPES)
    throw new OAuthError("invalid_scope", `Request 1 to ${MAX_SCOPES} scopes of this server.`);
  return [...scopes];
}

/**
 * Checks the redirect URI that a client registers: https, or http to a loopback host.
 *
 * @throws OAuthError invalid_redirect_uri
 */
export function checkRedirectUri(uri: string): void {
  const url = uri.length <= MAX_REDIRECT_URI ? URL.parse(uri) : null;
  const isAllowed =
    url !== null &&
    (url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.includes(url.hostname))) &&
    !uri.includes("#") &&
    url.username === "" &&
    url.password === "";
  if (isAllowed) return;
  throw new OAuthError(
    "invalid_redirect_uri",
    `"${uri.slice(0, 200)}" is not allowed: use https, or http with localhost, 127.0.0.1 or ` +
      "[::1], without a fragment or a user name.",
  );
}

/** Whether a redirect URI matches a registered one. The port of a loopback URI may differ. */
export function matchesRedirectUri(requested: string, registered: string): boolean {
  if (requested === registered) return true;
  const [now, then] = [URL.parse(requested), URL.parse(registered)];
  if (now === null || then?.protocol !== "http:" || !LOOPBACK.includes(then.hostname)) return false;
  now.port = then.port;
  return now.href === then.href;
}

/** @throws OAuthError invalid_request for anything but S256 */
export function checkChallenge(challenge: string, method: string | null): void {
  if (method !== "S256")
    throw new OAuthError("invalid_request", "code_challenge_method must be S256.");
  if (!CHALLENGE.test(challenge))
    throw new OAuthError("invalid_request", "code_challenge must be a SHA-256 in base64url.");
}

/** Whether the verifier matches the challenge (RFC 7636). */
export function matchesChallenge(verifier: string, challenge: string): boolean {
  if (!VERIFIER.test(verifier)) return false;
  return isSameHash(sha256(verifier, "base64url"), challenge);
}

/**
 * Checks which server a token is for (RFC 8707).
 *
 * @param requested null for older clients, which do not send it and mean this server
 * @throws OAuthError invalid_target
 */
export function checkResource(requested: string | null, resource: string): void {
  if (requested === null || requested.replace(/\/$/, "") === resource) return;
  throw new OAuthError("invalid_target", `This server issues tokens for ${resource} only.`);
}
