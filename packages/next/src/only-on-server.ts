import type { PylonServer, PylonServerConfig } from "./pylon-server.ts";

/**
 * In server components, route handlers and server actions this is the function of
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
    "createPylonServer requires a request, which client components do not have: call it in a " +
      "server component, and import it from @pylonsync/next/server.",
  );
}
