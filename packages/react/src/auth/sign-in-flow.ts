import { PylonClientError, type SyncEngine } from "@pylonsync/sync";
import { useCallback, useState } from "react";
import { useEngine } from "../provider.tsx";
import { safePath } from "../safe-path.ts";

/** The common props of components that sign a user in. */
export interface SignInProps {
  /** Default: the engine of the nearest provider, or the app's. */
  readonly sync?: SyncEngine;
  /** Called after the sign-in, instead of redirecting to `redirectTo`. */
  readonly onDone?: () => void;
  /**
   * Where to redirect after the sign-in: a path of the page's origin; any other value is replaced
   * with `/`. Without it the page stays.
   */
  readonly redirectTo?: string | undefined;
}

/** A sign-in, with the second factor that it may require. */
export interface SignInFlow {
  readonly sync: SyncEngine;
  /** The token for `verifySecondFactor`; null if no second factor is required. */
  readonly mfaToken: string | null;
  readonly ask: (mfaToken: string) => void;
  /**
   * Runs a sign-in until it is complete, or a second factor is required.
   *
   * @throws PylonClientError
   */
  readonly run: (signIn: () => Promise<unknown>) => Promise<void>;
}

/**
 * Runs a sign-in: asks for a second factor if one is required, then calls `onDone` or redirects to
 * `redirectTo`.
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
      // Reload the whole page, so that a server renders it for the signed-in user.
      else if (redirectTo !== undefined) location.assign(safePath(redirectTo));
    },
    [onDone, redirectTo],
  );
  return { sync, mfaToken, ask: setMfaToken, run };
}

/** The heading of forms that are pages of their own. */
export interface HeadingProps {
  /** The heading above the form, such as `Sign in to Notes`. Default: no heading. */
  readonly title?: string | undefined;
  /** A line below the heading. */
  readonly subtitle?: string | undefined;
}
