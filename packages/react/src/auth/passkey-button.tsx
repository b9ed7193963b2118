import { useEffect, useState, type ReactElement } from "react";
import { problemOf } from "./problem.ts";
import { hasPasskeys, signInWithPasskey } from "./passkey-calls.ts";
import { keepsCookies } from "./provider-calls.ts";
import { PasskeyLogo } from "./passkey-logo.tsx";
import type { SignInFlow } from "./sign-in-flow.ts";

/** Signs in with a passkey; renders nothing if the browser does not support passkeys. */
export function PasskeyButton({
  flow: { sync, run },
}: {
  readonly flow: SignInFlow;
}): ReactElement | null {
  const [isOffered, setOffered] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  // Checked after hydration: during server rendering the browser is unknown.
  useEffect(() => setOffered(hasPasskeys() && keepsCookies(sync)), [sync]);
  if (!isOffered) return null;
  const use = (): void => {
    setBusy(true);
    setProblem(null);
    run(() => signInWithPasskey({ sync }))
      .catch((reason: unknown) => setProblem(problemOf(reason).text))
      .finally(() => setBusy(false));
  };
  return (
    <>
      <button
        type="button"
        className="pylon-button pylon-plain"
        disabled={isBusy}
        aria-busy={isBusy}
        onClick={use}
      >
        <PasskeyLogo />
        Use a passkey
      </button>
      <p className="pylon-error" role="alert">
        {problem}
      </p>
    </>
  );
}
