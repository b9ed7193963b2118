/**
 * Pylon in server components, route handlers and server actions of the App Router.
 *
 * @module
 */
import { PylonServerClient, type PylonServerOptions } from "./server-client.ts";

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
 * A client with settings of its own, for an app that has more than one Pylon server. Others need
 * only PYLON_URL and PYLON_COOKIE_NAME, and the functions below.
 *
 * @example
 * export const pylon = createPylonServer({ cookieName: "notes_session" });
 */
export function createPylonServer(options: PylonServerOptions = {}): PylonServerClient {
  return new PylonServerClient(options);
}

const pylon = createPylonServer();

/**
 * Who sent the request. It is asked once a request.
 *
 * @example
 * const { userId, user } = await auth();
 */
export const auth: PylonServerClient["auth"] = pylon.auth;

/**
 * The session, or null where nobody is signed in.
 *
 * @example
 * const session = await getSession();
 */
export const getSession: PylonServerClient["getSession"] = () => pylon.getSession();

/**
 * The session; where nobody is signed in the browser goes to sign in, and comes back.
 *
 * @example
 * const { user } = await requireSession({ redirectTo: "/notes" });
 */
export const requireSession: PylonServerClient["requireSession"] = (options) =>
  pylon.requireSession(options);

/**
 * Rows that the caller may read.
 *
 * @example const notes = await queryDb("Note", { where: { done: false }, orderBy: { createdAt:
 *   "desc" }, limit: 20 });
 */
export const queryDb: PylonServerClient["queryDb"] = (entity, options) =>
  pylon.queryDb(entity, options);

/**
 * Rows for `usePreloadedQuery` in a client component.
 *
 * @example
 * return <Notes preloaded={await preloadQuery("Note")} />;
 */
export const preloadQuery: PylonServerClient["preloadQuery"] = (entity, options) =>
  pylon.preloadQuery(entity, options);

/**
 * Calls a function as the caller.
 *
 * @example
 * const { count } = await callFn("clearDone", {});
 */
export const callFn: PylonServerClient["callFn"] = (name, args) => pylon.callFn(name, args);
