import type { ReactElement } from "react";
import { useEngine } from "../provider.tsx";
import { safePath } from "../safe-path.ts";
import { useSession } from "../session.ts";
import { signOut } from "./calls.ts";
import type { SignInProps } from "./sign-in-flow.ts";

/** Signs out; nothing where nobody is signed in. `redirectTo` and `onDone` as of `SignIn`. */
export function SignOutButton({ sync: given, onDone, redirectTo }: SignInProps): ReactElement | null {
  const sync = useEngine(given);
  const { isAuthenticated } = useSession(sync);
  if (!isAuthenticated) return null;
  const leave = (): void => {
    signOut({ sync })
      // Without a connection the session ends here, and on the server when it expires.
      .catch(() => undefined)
      .finally(() => {
        if (onDone !== undefined) onDone();
        else if (redirectTo !== undefined) location.assign(safePath(redirectTo));
      });
  };
  return (
    <button type="button" className="pylon-button" onClick={leave}>
      Sign out
    </button>
  );
}
