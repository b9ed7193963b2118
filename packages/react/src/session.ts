import type { ResolvedSession, SyncEngine } from "@pylonsync/sync";
import { useCallback, useEffect, useSyncExternalStore } from "react";

export interface SessionState {
  readonly session: ResolvedSession;
  readonly userId: string | null;
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  readonly isAuthenticated: boolean;
  readonly refresh: () => Promise<ResolvedSession>;
}

/** Who is signed in. Follows sign-ins and sign-outs of other tabs. */
export function useSession(sync: SyncEngine): SessionState {
  const subscribe = useCallback((notify: () => void) => sync.onSession(notify), [sync]);
  const snapshot = useCallback(() => sync.resolvedSession(), [sync]);
  const session = useSyncExternalStore(subscribe, snapshot, snapshot);
  const refresh = useCallback(() => sync.refreshResolvedSession(), [sync]);
  useEffect(() => {
    const onStorage = (event: StorageEvent): void => {
      if (event.key?.endsWith("token") === true) sync.notifySessionChanged();
    };
    globalThis.addEventListener("storage", onStorage);
    return () => globalThis.removeEventListener("storage", onStorage);
  }, [sync]);
  const { userId, tenantId, isAdmin } = session;
  return { session, userId, tenantId, isAdmin, isAuthenticated: userId !== null || isAdmin, refresh };
}
