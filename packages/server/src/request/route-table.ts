import type { BodyLimit } from "@pylonsync/protocol";
import type { Method, RequestContext } from "./context.ts";
import type { Answer } from "./responses.ts";
import type { Route, RouteAccess } from "./route.ts";

/** Handles one request with the services of a feature. */
export type Handler<S> = (services: S, context: RequestContext) => Answer | Promise<Answer>;

/** The options of a route besides its method, path and access; as in `Route`. */
export type RouteOptions = Pick<
  Route,
  | "scope"
  | "quiet"
  | "acceptsCrossOriginForms"
  | "isAnonymous"
  | "ignoresInvalidTokens"
  | "mayNameAuthor"
> & {
  /** If it is omitted, a GET or DELETE reads no body, and any other route a `small` one. */
  readonly body?: BodyLimit;
};

/** Creates a route of one method. */
export type RouteMaker<S> = (
  path: string,
  access: RouteAccess,
  handle: Handler<S>,
  options?: RouteOptions,
) => Route;

/**
 * Creates the routes of a feature. Their handlers are functions of the feature's services and of
 * the request.
 *
 * @param services passed to each handler
 * @example
 *   const { get, post } = routeTable(services);
 *   return [get("/api/things", "signed-in", list), post("/api/things", "signed-in", create)];
 */
export function routeTable<S>(
  services: S,
): Readonly<Record<"get" | "post" | "put" | "patch" | "del", RouteMaker<S>>> {
  const reading =
    (method: "GET" | "DELETE"): RouteMaker<S> =>
    (path, access, handle, options = {}) => ({
      ...options,
      method,
      path,
      access,
      handle: (context) => handle(services, context),
    });
  const writing =
    (method: Exclude<Method, "GET" | "DELETE">): RouteMaker<S> =>
    (path, access, handle, { body = "small", ...options } = {}) => ({
      ...options,
      method,
      path,
      access,
      body,
      handle: (context) => handle(services, context),
    });
  return {
    get: reading("GET"),
    post: writing("POST"),
    put: writing("PUT"),
    patch: writing("PATCH"),
    del: reading("DELETE"),
  };
}
