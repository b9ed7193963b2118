import { PylonError, type BodyLimit } from "@pylonsync/protocol";
import { checkKeyScope, type RouteScope } from "../identity/key-scope.ts";
import type { Identity } from "../identity/identity.ts";
import type { Method, RequestContext } from "./context.ts";
import type { Answer } from "./responses.ts";

/**
 * Who may call a route. Routes that serve rows are open to `anyone`: there the policies decide.
 * `admin-or-dev` is open to everyone in dev mode, but for pages of other sites.
 */
export type RouteAccess = "anyone" | "signed-in" | "admin" | "admin-or-dev";

/** Bearer tokens that no other route takes. */
export interface RouteTokens {
  /** Whether the token has their form. */
  matches(token: string): boolean;
  /** @throws PylonError UNAUTHORIZED */
  identify(request: Request, token: string): Promise<Identity>;
}

interface RouteBase {
  /** A path pattern: `/api/entities/:entity/:id`. */
  readonly path: string;
  readonly access: RouteAccess;
  /**
   * What an API key must be allowed to; a route that says nothing takes no API key, and no token
   * for other services.
   */
  readonly scope?: RouteScope;
  /** Does not count against the rate limit and is not logged: health checks and scrapes. */
  readonly quiet?: boolean;
  /**
   * Pages of any site may post to it, as an OAuth provider's page does: it has a proof of its own,
   * and sees no session of theirs.
   */
  readonly takesForeignForms?: boolean;
  /**
   * Any browser may be led to it: no cookie and no token is looked at, and HEAD is not GET.
   */
  readonly isAnonymous?: boolean;
  /**
   * A bearer token that is unknown, expired or revoked counts as none, and the route tells of it;
   * elsewhere it is refused.
   */
  readonly takesDeadTokens?: boolean;
  /** Bearer tokens that are valid for this route alone. */
  readonly tokens?: RouteTokens;
  /**
   * The value of `WWW-Authenticate` when the caller is refused with 401; default `Bearer`.
   *
   * @param isInvalid the caller sent a token
   */
  readonly challenge?: (request: Request, isInvalid: boolean) => string;
  readonly handle: (context: RequestContext) => Answer | Promise<Answer>;
}

/**
 * A route says how large its body may be (see BODY_LIMITS). Those that need not say it read none.
 */
export type Route = RouteBase &
  (
    | { readonly method: "GET" | "DELETE"; readonly body?: BodyLimit }
    | { readonly method: Exclude<Method, "GET" | "DELETE">; readonly body: BodyLimit }
  );

/** A route as the documentation and its checks see it. */
export interface RouteSummary {
  readonly method: Method;
  readonly path: string;
  /** Which of BODY_LIMITS holds. */
  readonly body: BodyLimit;
}

/**
 * @param isOpen whether `admin-or-dev` is open to this request
 * @throws PylonError AUTH_REQUIRED, FORBIDDEN, INSUFFICIENT_SCOPE
 */
export function checkAccess(
  { access, scope }: Pick<Route, "access" | "scope">,
  context: RequestContext,
  isOpen: boolean,
): void {
  const { caller, identity } = context;
  checkKeyScope(caller, scope, context.params);
  if (identity.isForServices === true && scope === undefined)
    throw new PylonError("INSUFFICIENT_SCOPE", "JWTs may not do this.", {
      hint: "Send the session token.",
    });
  if (access === "anyone" || caller.isAdmin || (access === "admin-or-dev" && isOpen)) return;
  if (access === "signed-in") {
    if (caller.userId !== null) return;
    throw new PylonError("AUTH_REQUIRED", "You are not signed in.", {
      hint: "Send Authorization: Bearer <token>.",
    });
  }
  throw new PylonError("FORBIDDEN", "Only the admin may do this.", {
    hint: "Send Authorization: Bearer <PYLON_ADMIN_TOKEN>.",
  });
}
