import { ANONYMOUS_SESSION, type ResolvedSession, type SyncEngine } from "@pylonsync/sync";
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { useEngine } from "./provider.tsx";

/** The session, as `useSession` returns it. */
export interface SessionState {
  readonly session: ResolvedSession;
  /** False until it is known who is signed in: show neither the app nor the sign-in page yet. */
  readonly isLoaded: boolean;
  readonly userId: string | null;
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  /** A guest has an id, rows of its own, and no account. */
  readonly isGuest: boolean;
  readonly roles: readonly string[];
  /** Somebody is there: a user, a guest or the admin. */
  readonly isAuthenticated: boolean;
  readonly refresh: () => Promise<ResolvedSession>;
}

/** Where the engine keeps its token, or notes that a cookie was changed. */
const SESSION_KEY = /[:_](token|session)$/;

/**
 * The current session. Follows sign-ins and sign-outs of other tabs.
 *
 * @param given by default the engine of the provider above, or the app's
 * @example
 * function Page() {
 *   const { isLoaded, userId } = useSession();
 *   if (!isLoaded) return null;
 *   return userId === null ? <SignIn /> : <Account />;
 * }
 */
export function useSession(given?: SyncEngine): SessionState {
  const sync = useEngine(given);
  const subscribe = useCallback((notify: () => void) => sync.onSession(notify), [sync]);
  const snapshot = useCallback(() => sync.resolvedSession(), [sync]);
  const rendered = useCallback(() => sync.initialSession, [sync]);
  const session = useSyncExternalStore(subscribe, snapshot, rendered);
  const refresh = useCallback(() => sync.refreshResolvedSession(), [sync]);
  useEffect(() => {
    const onStorage = (event: StorageEvent): void => {
      if (event.key !== null && SESSION_KEY.test(event.key)) sync.notifySessionChanged();
    };
    globalThis.addEventListener("storage", onStorage);
    return () => globalThis.removeEventListener("storage", onStorage);
  }, [sync]);
  const { userId, tenantId, isAdmin, isGuest, roles } = session;
  return {
    session,
    isLoaded: session !== ANONYMOUS_SESSION,
    userId,
    tenantId,
    isAdmin,
    isGuest,
    roles,
    isAuthenticated: userId !== null || isAdmin,
    refresh,
  };
}
