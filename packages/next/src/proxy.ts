/**
 * Guards pages before they are rendered, in the app's `proxy.ts` (`middleware.ts` before Next 16).
 *
 * @module
 */
import { NextResponse, type NextRequest } from "next/server";
import { guard, type GuardOptions } from "./guard.ts";
import { pathPattern } from "./path-pattern.ts";

/** Options of `pylonMiddleware`. */
export interface PylonMiddlewareOptions extends GuardOptions {
  /**
   * Paths without a session check, such as `/` and `/blog/:path*`. Pylon's `/api` and `/auth`, and
   * the assets of Next.js, are always public.
   */
  readonly publicPaths?: readonly string[];
}

/**
 * Redirects requests without a session to the sign-in page and back, on all paths except the public
 * ones. It only checks that the cookie exists unless `verify` is set: `requireSession` and the
 * policies protect the data.
 *
 * @throws Error for an invalid pattern in `publicPaths`
 *
 * @example
 * export const proxy = pylonMiddleware({ publicPaths: ["/", "/blog/:path*"], signIn: "/sign-in" });
 */
export function pylonMiddleware({ publicPaths = [], ...options }: PylonMiddlewareOptions = {}): (
  request: NextRequest,
) => Promise<NextResponse> {
  const signIn = options.signIn ?? "/auth/sign-in";
  const isOpen = [
    "/api/:path*",
    "/auth/:path*",
    "/_next/:path*",
    "/favicon.ico",
    signIn,
    ...publicPaths,
  ].map(pathPattern);
  return async (request) =>
    isOpen.some((matches) => matches(request.nextUrl.pathname))
      ? NextResponse.next()
      : guard(request, options);
}

/** Options of `createPylonProxy`. */
export interface PylonProxyOptions extends PylonMiddlewareOptions {
  /** The guarded paths. Default `/dashboard/:path*`. */
  readonly matcher?: readonly string[];
  /** The same as `signIn`. */
  readonly loginUrl?: string;
}

/**
 * Like `pylonMiddleware`, but guards only the paths of `matcher`.
 *
 * @throws Error for an invalid pattern in `matcher`
 *
 * @example
 * export const { proxy, config } = createPylonProxy({
 *   matcher: ["/dashboard/:path*"],
 *   loginUrl: "/login",
 * });
 */
export function createPylonProxy({
  matcher = ["/dashboard/:path*"],
  loginUrl,
  ...options
}: PylonProxyOptions = {}): {
  readonly proxy: (request: NextRequest) => Promise<NextResponse>;
  readonly config: { readonly matcher: string[] };
} {
  const isGuarded = matcher.map(pathPattern);
  const middleware = pylonMiddleware({
    ...options,
    ...(loginUrl === undefined ? {} : { signIn: loginUrl }),
  });
  const proxy = async (request: NextRequest): Promise<NextResponse> =>
    isGuarded.some((matches) => matches(request.nextUrl.pathname))
      ? middleware(request)
      : NextResponse.next();
  return { proxy, config: { matcher: [...matcher] } };
}
