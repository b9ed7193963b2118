import type { Manifest } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";

/** Checks the settings of sign-in and sessions. */
export function* checkAuth({ auth }: Manifest): Generator<Diagnostic> {
  if (auth?.session !== undefined && "cookieCache" in auth.session)
    yield {
      severity: "warning",
      code: "MANIFEST_KEY_WITHOUT_EFFECT",
      message: "auth.session.cookieCache has no effect: the server always looks up the session.",
      path: "auth.session.cookieCache",
      hint: "Remove it.",
    };
  for (const [index, origin] of (auth?.trustedOrigins ?? []).entries()) {
    if (!isOrigin(origin))
      yield errorAt(
        "TRUSTED_ORIGIN_INVALID",
        `"${origin.slice(0, 100)}" is not a valid origin.`,
        `auth.trustedOrigins[${index}]`,
        'Use only scheme, host and port: "https://app.example.com".',
      );
  }
}

/**
 * Whether the text is an origin as browsers send it in the `Origin` header. `null` is not one:
 * browsers can send it for pages of any origin.
 */
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}
