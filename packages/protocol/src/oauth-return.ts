import type { ErrorCode } from "./errors.ts";

const WORDS: ReadonlyMap<string, string> = new Map<ErrorCode, string>([
  ["OAUTH_DENIED", "You did not allow it there, so you are not signed in."],
  ["OAUTH_UNREACHABLE", "The other service can't be reached. Try again later."],
  [
    "ACCOUNT_EXISTS",
    "There is an account with this e-mail address already. Sign in to it as before; " +
      "the other account can be added from there.",
  ],
  ["ACCOUNT_TAKEN", "That account belongs to another user here."],
  ["AUTH_REQUIRED", "You were signed out in between. Sign in again."],
  ["SIGN_UP_REFUSED", "No account is made for you here."],
  ["SIGN_IN_REFUSED", "You are not let in here."],
  ["INVALID_STATE", "This sign-in is over. Start it again."],
  ["INVALID_TOKEN", "This link was used or is too old. Ask for a new one."],
  ["RATE_LIMITED", "Too many attempts. Try again later."],
]);

/**
 * Returns the text for a page to which an OAuth sign-in returns with `oauth_error`. It is based on
 * the code, because the message in the URL can be forged by the author of a link.
 */
export function oauthFailureText(code: string): string {
  return WORDS.get(code) ?? "This sign-in did not work. Try again.";
}
