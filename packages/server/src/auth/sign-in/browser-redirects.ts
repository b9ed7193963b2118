import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { toPublicError } from "../../request/responses.ts";
import type { AuthServices } from "../auth-services.ts";

/**
 * A second factor is asked for within it, in milliseconds; the sign-in that waits lives as long.
 */
const SECOND_FACTOR_MS = 5 * 60_000;
/** The suffix of the cookie that holds a sign-in which waits for its second factor. */
export const SECOND_FACTOR_COOKIE = "mfa";

/**
 * What only looks whether there is something must not use up a secret that works once.
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
 * Sends a browser on. Nobody may keep where it leads.
 *
 * @param status 303 after a form: what comes next is a GET
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
 * Sends the browser to where the app shows what went wrong with a sign-in, or asks for the second
 * factor. A fault of ours is answered as everywhere.
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
  // The token is worth a password: it does not stand in a URL.
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
