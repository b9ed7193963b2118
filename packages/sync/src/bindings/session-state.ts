import type { SyncEngine } from "../engine/engine.ts";
import type { SyncStatus } from "../engine/config.ts";
import { ANONYMOUS_SESSION, type ResolvedSession } from "../session/session.ts";
import { observe, type Observable } from "./observable.ts";

/** The session, for framework bindings. */
export interface SessionState {
  readonly session: ResolvedSession;
  /** False until the session is known: show neither the app nor the sign-in page yet. */
  readonly isLoaded: boolean;
  readonly userId: string | null;
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
  /** A guest has an id and their own rows, but no account. */
  readonly isGuest: boolean;
  readonly roles: readonly string[];
  /** Whether a user, a guest or the admin is signed in. */
  readonly isAuthenticated: boolean;
}

/** Storage keys of the engine's token, and of the marker for a changed cookie. */
const SESSION_KEY = /[:_](token|session)$/;

/**
 * Observes the current session. It also follows sign-ins and sign-outs in other tabs.
 *
 * @example
 * const session = observeSession(engine);
 * session.subscribe(() => render(session.getSnapshot().userId));
 */
export function observeSession(sync: SyncEngine): Observable<SessionState> {
  return observe(
    () => sessionStateOf(sync.session.current),
    (notify) => [sync.session.onChange(notify), followTabs(sync)],
  );
}

/**
 * Observes the state of the engine: connection, readiness, pending writes.
 *
 * @example
 * const status = observeStatus(engine);
 * status.subscribe(() => render(status.getSnapshot().pending));
 */
export function observeStatus(sync: SyncEngine): Observable<SyncStatus> {
  return { getSnapshot: () => sync.status, subscribe: (listener) => sync.onStatus(listener) };
}

/**
 * Converts a session to the form for bindings.
 *
 * @example
 * const { isLoaded, userId } = sessionStateOf(engine.session.current);
 */
export function sessionStateOf(session: ResolvedSession): SessionState {
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
  };
}

/**
 * Reloads the session when another tab signs in or out. Outside browsers this has no effect.
 *
 * @returns an unsubscribe function
 * @example
 * const unfollow = followTabs(engine);
 */
export function followTabs(sync: SyncEngine): () => void {
  if (typeof globalThis.addEventListener !== "function") return () => undefined;
  const onStorage = (event: StorageEvent): void => {
    if (event.key !== null && SESSION_KEY.test(event.key)) sync.session.notifyChanged();
  };
  globalThis.addEventListener("storage", onStorage);
  return () => globalThis.removeEventListener("storage", onStorage);
}
