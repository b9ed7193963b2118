import { NextResponse, type NextRequest } from "next/server";
import { cookieNameOf, urlOf, type PylonSettings } from "./settings.ts";

/**
 * How the guard finds out whether a request is signed in, and where it sends the others.
 *
 * @example
 * import { pylonMiddleware } from "@pylonsync/next/proxy";
 *
 * export const proxy = pylonMiddleware({ signIn: "/sign-in", verify: true, timeoutMs: 2000 });
 */
export interface GuardOptions extends PylonSettings {
  /**
   * The page to sign in at, which gets the target as `next`. Default `/auth/sign-in`, the Pylon
   * server's own.
   */
  readonly signIn?: string;
  /**
   * Asks the Pylon server whether the cookie is a user's session. Without it a cookie is enough,
   * which tells nothing of who it is: the page asks with `requireSession` anyway. Default false.
   */
  readonly verify?: boolean;
  /** How long the Pylon server may take to verify, in milliseconds. Default 5000. */
  readonly timeoutMs?: number;
}

/**
 * Lets a signed-in request through, and redirects others to the sign-in page and back.
 */
export async function guard(request: NextRequest, options: GuardOptions): Promise<NextResponse> {
  const { pathname, search } = request.nextUrl;
  const value = request.cookies.get(cookieNameOf(options))?.value;
  if (value !== undefined && (options.verify !== true || (await isSession(value, options))))
    return NextResponse.next();
  const url = new URL(options.signIn ?? "/auth/sign-in", request.nextUrl);
  url.searchParams.set("next", pathname + search);
  return NextResponse.redirect(url);
}

/** A server that can't be asked signs nobody out: the page will say what is wrong. */
async function isSession(value: string, options: GuardOptions): Promise<boolean> {
  const cookie = `${cookieNameOf(options)}=${encodeURIComponent(value)}`;
  try {
    const response = await fetch(`${urlOf(options)}/api/auth/me`, {
      headers: { Cookie: cookie },
      cache: "no-store",
      signal: AbortSignal.timeout(options.timeoutMs ?? 5000),
    });
    if (!response.ok) return true;
    const { user_id: userId }: { readonly user_id: string | null } = await response.json();
    return userId !== null;
  } catch {
    return true;
  }
}
