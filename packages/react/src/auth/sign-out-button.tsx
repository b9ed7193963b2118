import { useState, type ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { safePath } from "../safe-path.ts";
import { useSession } from "../session.ts";
import { signOut } from "./calls.ts";
import { problemOf } from "./problem.ts";
import type { SignInProps } from "./sign-in-flow.ts";

/**
 * A button that signs out; renders nothing for signed-out visitors. `redirectTo` and `onDone` work
 * as for `SignIn`.
 *
 * @example
 * <SignOutButton redirectTo="/" />;
 */
export function SignOutButton({
  sync: given,
  onDone,
  redirectTo,
}: SignInProps): ReactElement | null {
  const sync = useEngine(given);
  const { isAuthenticated } = useSession(sync);
  const [problem, setProblem] = useState<string | null>(null);
  if (!isAuthenticated) return null;
  const leave = async (): Promise<void> => {
    const hasCookie = sync.token === null;
    try {
      await signOut({ sync });
    } catch (reason) {
      // The cookie still exists, and would sign in the next user of this browser.
      if (hasCookie) {
        setProblem(problemOf(reason).text);
        return;
      }
    }
    if (onDone !== undefined) onDone();
    else if (redirectTo !== undefined) location.assign(safePath(redirectTo));
  };
  return (
    <>
      <button type="button" className="pylon-button pylon-plain" onClick={() => void leave()}>
        Sign out
      </button>
      <p className="pylon-error" role="alert">
        {problem}
      </p>
    </>
  );
}
