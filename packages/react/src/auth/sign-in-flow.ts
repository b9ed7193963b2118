import { PylonClientError, type SyncEngine } from "@pylonsync/sync";
import { useCallback, useState } from "react";
import { useEngine } from "../provider.tsx";
import { safePath } from "../safe-path.ts";

/** What every component that signs somebody in takes. */
export interface SignInProps {
  /** By default the engine of the provider above, or the app's. */
  readonly sync?: SyncEngine;
  /** Called after the sign-in, in place of going to `redirectTo`. */
  readonly onDone?: () => void;
  /**
   * Where the page goes after the sign-in: a path of its own origin, and whatever else is taken as
   * `/`. Without it the page stays.
   */
  readonly redirectTo?: string;
}

/** A sign-in, and the second factor that it may ask for. */
export interface SignInFlow {
  readonly sync: SyncEngine;
  /** What `verifySecondFactor` goes on with; null while none is asked for. */
  readonly mfaToken: string | null;
  readonly ask: (mfaToken: string) => void;
  /**
   * Takes a way to sign in to its end: it is done, or waits for the second factor.
   *
   * @throws PylonClientError
   */
  readonly run: (signIn: () => Promise<unknown>) => Promise<void>;
}

/**
 * Runs a sign-in to its end: asks for the second factor where one is needed, then calls `onDone` or
 * loads `redirectTo`.
 */
export function useSignInFlow({ sync: given, onDone, redirectTo }: SignInProps): SignInFlow {
  const sync = useEngine(given);
  const [mfaToken, setMfaToken] = useState<string | null>(null);
  const run = useCallback(
    async (signIn: () => Promise<unknown>): Promise<void> => {
      try {
        await signIn();
      } catch (reason) {
        const token =
          reason instanceof PylonClientError && reason.code === "MFA_REQUIRED"
            ? reason.body["mfa_token"]
            : undefined;
        if (typeof token !== "string") throw reason;
        setMfaToken(token);
        return;
      }
      setMfaToken(null);
      if (onDone !== undefined) onDone();
      // The whole page is loaded again: a server then renders it for the signed-in user.
      else if (redirectTo !== undefined) location.assign(safePath(redirectTo));
    },
    [onDone, redirectTo],
  );
  return { sync, mfaToken, ask: setMfaToken, run };
}
