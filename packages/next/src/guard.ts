import { NextResponse, type NextRequest } from "next/server";
import { cookieNameOf, urlOf, type PylonSettings } from "./settings.ts";

/**
 * How the guard checks the session of a request, and where it redirects anonymous requests.
 *
 * @example
 * import { pylonMiddleware } from "@pylonsync/next/proxy";
 *
 * export const proxy = pylonMiddleware({ signIn: "/sign-in", verify: true, timeoutMs: 2000 });
 */
export interface GuardOptions extends PylonSettings {
  /**
   * The sign-in page, which receives the target as `next`. Default `/auth/sign-in`, the Pylon
   * server's page.
   */
  readonly signIn?: string;
  /**
   * Whether to verify the session with the Pylon server. Without it the presence of a cookie is
   * sufficient, so pages must check with `requireSession`. Default false.
   */
  readonly verify?: boolean;
  /** The timeout for verification, in milliseconds. Default 5000. */
  readonly timeoutMs?: number;
}

/** Lets a signed-in request through, and redirects others to the sign-in page and back. */
export async function guard(request: NextRequest, options: GuardOptions): Promise<NextResponse> {
  const { pathname, search } = request.nextUrl;
  const value = request.cookies.get(cookieNameOf(options))?.value;
  if (value !== undefined && (options.verify !== true || (await isSession(value, options))))
    return NextResponse.next();
  const url = new URL(options.signIn ?? "/auth/sign-in", request.nextUrl);
  url.searchParams.set("next", pathname + search);
  return NextResponse.redirect(url);
}

/** If the server is unreachable, the request is let through: the page will report the error. */
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
