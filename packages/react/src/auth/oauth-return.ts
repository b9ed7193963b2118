import { oauthFailureText } from "@pylonsync/protocol";
import { useEffect, useState } from "react";
import { problemOf } from "./problem.ts";
import { takePendingSignIn } from "./provider-calls.ts";
import type { SignInFlow } from "./sign-in-flow.ts";

/**
 * Handles the return from an OAuth sign-in, which may require a second factor or have failed.
 *
 * @returns the error message, or null
 */
export function useOAuthReturn({ sync, ask }: SignInFlow): string | null {
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const url = new URL(location.href);
    const code = url.searchParams.get("oauth_error");
    if (code === null) return;
    // Remove it from the URL, so that it is not shown again after a reload.
    url.searchParams.delete("oauth_error");
    url.searchParams.delete("oauth_error_message");
    history.replaceState(history.state, "", url);
    if (code === "MFA_REQUIRED")
      takePendingSignIn({ sync }).then(ask, (reason: unknown) =>
        setProblem(problemOf(reason).text),
      );
    else setProblem(oauthFailureText(code));
  }, [sync, ask]);
  return problem;
}
