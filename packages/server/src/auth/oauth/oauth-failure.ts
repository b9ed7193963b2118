import { PylonError } from "@pylonsync/protocol";
import type { ErrorCode } from "@pylonsync/protocol";
import { textAt } from "./json-path.ts";

/**
 * Describes a provider's failure without what it sent: the errors of the library contain whole
 * responses, and so tokens. Only the error's code is included; a description would put untrusted
 * text into the app's page.
 */
export function oauthFailure(provider: string, error: unknown): PylonError {
  if (error instanceof PylonError) return error;
  const reason =
    safeCode(textAt(error, "error")) ??
    safeCode(textAt(error, "code")) ??
    (error instanceof Error ? safeCode(error.name) : undefined) ??
    "unknown";
  return new PylonError("OAUTH_FAILED", `${provider} did not confirm the sign-in (${reason}).`, {
    hint: "Try again. If the error persists, check the client id, the secret and the redirect URL.",
  });
}

/** The error for a browser that the provider returned with an error. */
export function refusedBy(provider: string, error: string): PylonError {
  const code: ErrorCode =
    error === "access_denied" ||
    error === "user_cancelled_authorize" ||
    error === "user_cancelled_login"
      ? "OAUTH_DENIED"
      : "OAUTH_FAILED";
  return new PylonError(
    code,
    `${provider} rejected the sign-in (${safeCode(error) ?? "unknown"}).`,
    {
      hint: "Try again.",
    },
  );
}

function safeCode(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w.-]{1,64}$/.test(text) ? text : undefined;
}
