"use client";
import { EngineProvider } from "@pylonsync/react";
import type { ResolvedSession } from "@pylonsync/sync";
import type { ReactElement, ReactNode } from "react";

/** Props of `PylonProvider`. */
export interface PylonProviderProps {
  readonly children: ReactNode;
  /**
   * What `auth()` said: `useSession` knows it in the first render, on the server and in the
   * browser.
   */
  readonly session?: ResolvedSession;
  /**
   * The Pylon server's socket, such as `wss://api.example.com/ws`: Next passes no sockets on.
   * Without it changes come by asking again and again.
   */
  readonly socketUrl?: string;
  /** Where the API is. Default: this page's own origin, where `createPylonHandler` is. */
  readonly baseUrl?: string;
  /** Keeps several apps on one origin apart. */
  readonly appName?: string;
}

/**
 * Provides the client engine to the components below, signed in by the cookie.
 *
 * @example
 * // app/layout.tsx
 * import { auth } from "@pylonsync/next/server";
 * import type { ReactNode } from "react";
 *
 * export default async function Layout({ children }: { children: ReactNode }) {
 *   return (
 *     <PylonProvider session={await auth()} socketUrl={process.env["PYLON_SOCKET_URL"]}>
 *       {children}
 *     </PylonProvider>
 *   );
 * }
 */
export function PylonProvider({
  children,
  session,
  socketUrl,
  baseUrl,
  appName,
}: PylonProviderProps): ReactElement {
  const here = typeof location === "undefined" ? "http://localhost" : location.origin;
  return (
    <EngineProvider
      baseUrl={baseUrl ?? here}
      credentials="cookie"
      {...(socketUrl === undefined ? { transport: "poll" } : { wsUrl: socketUrl })}
      {...(session === undefined ? {} : { session: onlySession(session) })}
      {...(appName === undefined ? {} : { appName })}
    >
      {children}
    </EngineProvider>
  );
}

/** Without what else a caller may have put there, such as the user's row. */
function onlySession({
  userId,
  tenantId,
  isAdmin,
  isGuest,
  roles,
}: ResolvedSession): ResolvedSession {
  return { userId, tenantId, isAdmin, isGuest, roles };
}
