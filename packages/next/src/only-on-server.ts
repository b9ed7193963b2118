import type { PylonServer, PylonServerConfig } from "./pylon-server.ts";

/**
 * In a server component, a route handler or a server action this is the one of
 * `@pylonsync/next/server`.
 *
 * @throws Error in a client component
 * @deprecated Import it from `@pylonsync/next/server`.
 *
 * @example
 * export const pylon = createPylonServer({ cookieName: "notes_session" });
 */
export function createPylonServer(_config?: PylonServerConfig): PylonServer {
  throw new Error(
    "createPylonServer needs the request, and there is none in a client component: call it in a " +
      "server component, and import it from @pylonsync/next/server.",
  );
}
