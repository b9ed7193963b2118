import { useEffect, useState } from "react";
import { problemOf } from "./problem.ts";
import { takePendingSignIn } from "./provider-calls.ts";
import type { SignInFlow } from "./sign-in-flow.ts";

/** By code: the message beside it in the URL may be anybody's who made the link. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ["OAUTH_DENIED", "You did not allow it there, so you are not signed in."],
  ["OAUTH_UNREACHABLE", "The other service can't be reached. Try again later."],
  ["ACCOUNT_EXISTS", "There is an account with this e-mail address already. Sign in to it as before; the other account can be added from there."],
  ["ACCOUNT_TAKEN", "That account belongs to another user here."],
  ["AUTH_REQUIRED", "You were signed out in between. Sign in again."],
  ["SIGN_UP_REFUSED", "No account is made for you here."],
  ["SIGN_IN_REFUSED", "You are not let in here."],
  ["INVALID_STATE", "This sign-in is over. Start it again."],
  ["INVALID_TOKEN", "This link was used or is too old. Ask for a new one."],
  ["RATE_LIMITED", "Too many attempts. Try again later."],
]);

/**
 * Takes up a sign-in with an account elsewhere that came back to this page: it may wait for the second factor, or have failed.
 *
 * @returns why it failed, or null
 */
export function useOAuthReturn({ sync, ask }: SignInFlow): string | null {
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const url = new URL(location.href);
    const code = url.searchParams.get("oauth_error");
    if (code === null) return;
    // Said once, and not again when the page is loaded anew.
    url.searchParams.delete("oauth_error");
    url.searchParams.delete("oauth_error_message");
    history.replaceState(history.state, "", url);
    if (code === "MFA_REQUIRED") takePendingSignIn({ sync }).then(ask, (reason: unknown) => setProblem(problemOf(reason).text));
    else setProblem(WORDS.get(code) ?? "This sign-in did not work. Try again.");
  }, [sync, ask]);
  return problem;
}
