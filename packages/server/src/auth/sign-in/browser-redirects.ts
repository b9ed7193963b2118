import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { toPublicError } from "../../request/responses.ts";
import type { AuthServices } from "../auth-services.ts";

/** The time for a second factor, in milliseconds, which is also the pending sign-in's lifetime. */
const SECOND_FACTOR_MS = 5 * 60_000;
/** The suffix of the cookie of a sign-in that waits for its second factor. */
export const SECOND_FACTOR_COOKIE = "mfa";

/**
 * A HEAD request only checks for existence, so it must not consume a secret that works once.
 *
 * @throws PylonError METHOD_NOT_ALLOWED
 */
export function refuseHead({ request }: RequestContext): void {
  if (request.method === "HEAD")
    throw new PylonError("METHOD_NOT_ALLOWED", "Method HEAD is not allowed here.", {
      hint: "Allowed: GET, POST.",
    });
}

/**
 * Redirects the browser. The response must not be cached.
 *
 * @param status 303 after a form, so that the next request is a GET
 */
export function redirection(
  location: string,
  cookies: readonly string[],
  status: 302 | 303 = 302,
): Response {
  const headers = new Headers({ Location: location, "Cache-Control": "no-store" });
  for (const value of cookies) headers.append("Set-Cookie", value);
  return new Response(null, { status, headers });
}

/**
 * Redirects the browser to the page where the app shows the error of a sign-in, or requests the
 * second factor. An internal error is thrown as usual.
 */
export async function redirectFailure(
  { audit, cookie }: AuthServices,
  context: RequestContext,
  failure: { readonly target: string; readonly method: string; readonly error: unknown },
  status: 302 | 303 = 302,
): Promise<Response> {
  const { target, method, error } = failure;
  const shown = toPublicError(error);
  if (shown === undefined) throw error;
  const url = new URL(target);
  url.searchParams.set("oauth_error", shown.code);
  url.searchParams.set(
    "oauth_error_message",
    shown.hint === undefined ? shown.message : `${shown.message} ${shown.hint}`,
  );
  const pending = shown.extra?.["mfa_token"];
  // The token is as sensitive as a password, so it is never put into a URL.
  if (shown.code === "MFA_REQUIRED" && typeof pending === "string")
    return redirection(
      url.href,
      [cookie.other(SECOND_FACTOR_COOKIE, pending, SECOND_FACTOR_MS)],
      status,
    );
  await audit.record(context, "sign-in.failed", {
    detail: { method, code: shown.code, message: shown.message },
  });
  return redirection(url.href, [], status);
}
