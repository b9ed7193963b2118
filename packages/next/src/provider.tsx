"use client";
import { EngineProvider } from "@pylonsync/react";
import type { ResolvedSession } from "@pylonsync/sync";
import type { ReactElement, ReactNode } from "react";

/** Props of `PylonProvider`. */
export interface PylonProviderProps {
  readonly children: ReactNode;
  /**
   * The result of `auth()`: makes the session available in the first render, on the server and in
   * the browser.
   */
  readonly session?: ResolvedSession;
  /**
   * The WebSocket URL of the Pylon server, such as `wss://api.example.com/ws`, because Next.js does
   * not forward WebSockets. Without it changes are polled.
   */
  readonly socketUrl?: string;
  /** The URL of the API. Default: the page's own origin, where `createPylonHandler` serves it. */
  readonly baseUrl?: string;
  /** Separates several apps on one origin. */
  readonly appName?: string;
}

/**
 * Provides the client engine to the components below, authenticated by the cookie.
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

/** Removes additional properties, such as the user's row. */
function onlySession({
  userId,
  tenantId,
  isAdmin,
  isGuest,
  roles,
}: ResolvedSession): ResolvedSession {
  return { userId, tenantId, isAdmin, isGuest, roles };
}
