import type { ResolvedSession, SyncEngine } from "@pylonsync/sync";
import {
  followTabs,
  sessionStateOf,
  type SessionState as BindingState,
} from "@pylonsync/sync/bindings";
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { useEngine } from "./provider.tsx";

/** The result of `useSession`. */
export interface SessionState extends BindingState {
  readonly refresh: () => Promise<ResolvedSession>;
}

/**
 * The current session. It also follows sign-ins and sign-outs in other tabs.
 *
 * @param given default: the engine of the nearest provider, or the app's
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
  useEffect(() => followTabs(sync), [sync]);
  return { ...sessionStateOf(session), refresh };
}
