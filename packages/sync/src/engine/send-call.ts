import type { HttpClient } from "../connection/http.ts";
import type { Platform } from "../platform/platform.ts";

/** The timeout for a function's response to begin, in milliseconds, as in browsers. */
export const FUNCTION_MS = 300_000;

/** A call of a server function. */
export interface FunctionRequest {
  readonly http: HttpClient;
  readonly platform: Platform;
  /** The function's path, which names the caller. */
  readonly path: string;
  /** The arguments, as JSON represents them. */
  readonly args: unknown;
  /** The idempotency key: the function runs once, even if the request is sent several times. */
  readonly key: string;
  /** The token of the caller; null if it had none, or identifies itself by a cookie. */
  readonly token: string | null;
}

/** The header that names the caller, even if another user has signed in since the call. */
export function authorizationOf(token: string | null): Readonly<Record<string, string>> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/** Sends a call once. @throws PylonClientError */
export function sendCall({ http, path, args, key, token }: FunctionRequest): Promise<unknown> {
  const headers = { "Idempotency-Key": key, ...authorizationOf(token) };
  return http.request("POST", path, args, headers, { timeoutMs: FUNCTION_MS });
}
