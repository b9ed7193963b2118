import { PylonError, type BodyLimit } from "@pylonsync/protocol";
import { checkKeyScope, type RouteScope } from "../identity/key-scope.ts";
import type { Identity } from "../identity/identity.ts";
import { requireAuthor } from "./author.ts";
import type { Method, RequestContext } from "./context.ts";
import type { Answer } from "./responses.ts";

/**
 * Who may call a route. Routes that serve rows are open to `anyone`: there the policies decide.
 * `admin-or-dev` is open to everyone in dev mode, except for pages of other sites.
 */
export type RouteAccess = "anyone" | "signed-in" | "admin" | "admin-or-dev";

/** Bearer tokens that no other route accepts. */
export interface RouteTokens {
  /** Whether the token has their format. */
  matches(token: string): boolean;
  /** @throws PylonError UNAUTHORIZED */
  identify(request: Request, token: string): Promise<Identity>;
}

interface RouteBase {
  /** A path pattern: `/api/entities/:entity/:id`. */
  readonly path: string;
  readonly access: RouteAccess;
  /**
   * The scope that an API key needs. A route without one accepts no API key, and no token for other
   * services.
   */
  readonly scope?: RouteScope;
  /** Does not count against the rate limit and is not logged: health checks and metrics scrapes. */
  readonly quiet?: boolean;
  /**
   * Pages of any site may post to it, as an OAuth provider's page does: the request contains its
   * own proof, and is handled without the browser's session.
   */
  readonly acceptsCrossOriginForms?: boolean;
  /** Any browser may be redirected to it: it ignores cookies and tokens, and HEAD is not GET. */
  readonly isAnonymous?: boolean;
  /**
   * A bearer token that is unknown, expired or revoked counts as none, and the route reports it;
   * elsewhere it is rejected.
   */
  readonly ignoresInvalidTokens?: boolean;
  /**
   * Its requests count against the rate limit by user instead of by address: people who write in
   * the same office send many of them. Guests and anonymous callers still count by address.
   */
  readonly isLimitedByUser?: boolean;
  /** The request may name its author as `?user_id=`, which is empty for an anonymous one. */
  readonly mayNameAuthor?: boolean;
  /** Bearer tokens that are valid for this route only. */
  readonly tokens?: RouteTokens;
  /**
   * Returns the value of `WWW-Authenticate` when the caller is rejected with 401; default `Bearer`.
   *
   * @param isInvalid whether the caller sent a token
   */
  readonly challenge?: (request: Request, isInvalid: boolean) => string;
  readonly handle: (context: RequestContext) => Answer | Promise<Answer>;
}

/**
 * A route declares its body limit (see BODY_LIMITS). By default, GET and DELETE routes read none.
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
  /** Which of BODY_LIMITS applies. */
  readonly body: BodyLimit;
}

/**
 * @param isOpen whether `admin-or-dev` is open to this request
 * @throws PylonError AUTH_REQUIRED, FORBIDDEN, INSUFFICIENT_SCOPE, UNAUTHORIZED
 */
export function checkAccess(
  { access, scope, mayNameAuthor }: Pick<Route, "access" | "scope" | "mayNameAuthor">,
  context: RequestContext,
  isOpen: boolean,
): void {
  const { caller, identity } = context;
  if (mayNameAuthor === true) {
    const author = context.query("user_id");
    const userId = author === "" ? null : (author ?? undefined);
    requireAuthor(caller, userId, "The request was made");
  }
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
