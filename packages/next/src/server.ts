/**
 * Pylon in server components, route handlers and server actions of the App Router.
 *
 * @module
 */
import { PylonServer, type PylonServerConfig } from "./pylon-server.ts";
import type { PylonServerClient } from "./server-client.ts";

export {
  getAuth,
  getOAuthProviders,
  pylonFetch,
  pylonJson,
  PylonServer,
  requireAuth,
  type PylonAuth,
  type PylonServerConfig,
} from "./pylon-server.ts";
export type { OAuthProvider, Session } from "./wire.ts";

export {
  PylonServerClient,
  type PylonServerOptions,
  type ServerSession,
  type SignedInSession,
} from "./server-client.ts";
export { PylonUnreachableError } from "./unreachable.ts";
export { safePath } from "@pylonsync/react/safe-path";
export { PylonClientError } from "@pylonsync/sync";

/**
 * Creates a client with its own settings, for an app with more than one Pylon server. With one,
 * PYLON_URL, PYLON_COOKIE_NAME and the functions below are enough.
 *
 * @example
 * export const pylon = createPylonServer({ cookieName: "notes_session" });
 */
export function createPylonServer(options: PylonServerConfig = {}): PylonServer {
  return new PylonServer(options);
}

const pylon = createPylonServer();

/**
 * Returns the session of the request's caller. The Pylon server is called once per request.
 *
 * @throws PylonUnreachableError
 *
 * @example
 * const { userId, user } = await auth();
 */
export const auth: PylonServerClient["auth"] = pylon.auth;

/**
 * Returns the session, or null if the caller is not signed in.
 *
 * @throws PylonUnreachableError
 *
 * @example
 * const session = await getSession();
 */
export const getSession: PylonServerClient["getSession"] = () => pylon.getSession();

/**
 * Returns the session, or redirects the browser to the sign-in page and back.
 *
 * @throws PylonUnreachableError
 *
 * @example
 * const { user } = await requireSession({ redirectTo: "/notes" });
 */
export const requireSession: PylonServerClient["requireSession"] = (options) =>
  pylon.requireSession(options);

/**
 * Returns rows that the caller may read.
 *
 * @throws QueryError for a filter with an undefined value, PylonClientError, PylonUnreachableError
 *
 * @example
 * const todos = await queryDb("Todo", {
 *   where: { done: false },
 *   orderBy: { createdAt: "desc" },
 *   limit: 20,
 * });
 */
export const queryDb: PylonServerClient["queryDb"] = (entity, options) =>
  pylon.queryDb(entity, options);

/**
 * Loads rows for `usePreloadedQuery` in a client component.
 *
 * @throws PylonClientError, PylonUnreachableError
 *
 * @example
 * import type { Preloaded } from "@pylonsync/next";
 *
 * declare function Todos(props: { preloaded: Preloaded<"Todo"> }): null;
 *
 * export default async function Page() {
 *   return <Todos preloaded={await preloadQuery("Todo")} />;
 * }
 */
export const preloadQuery: PylonServerClient["preloadQuery"] = (entity, options) =>
  pylon.preloadQuery(entity, options);

/**
 * Calls a function on behalf of the caller.
 *
 * @throws PylonClientError with the function's code, PylonUnreachableError
 *
 * @example
 * import { callFn } from "@pylonsync/next/server";
 *
 * const { id } = await callFn("addTodo", { title: "milk" });
 */
export const callFn: PylonServerClient["callFn"] = (name, args) => pylon.callFn(name, args);
