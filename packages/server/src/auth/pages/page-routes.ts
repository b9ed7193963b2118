import { oauthFailureText, PylonError } from "@pylonsync/protocol";
import type { Route } from "../../request/route.ts";
import { routeTable, type Handler } from "../../request/route-table.ts";
import type { AuthSettings } from "../security/auth-settings.ts";
import type { Users } from "../users/users.ts";
import script from "./auth-page.text.js" with { type: "text" };
import style from "./auth-page.text.css" with { type: "text" };
import { isPageName, pageHtml, PAGES, type PageName } from "./page-html.ts";
import { sha256 } from "../../util/sha256.ts";

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The services that the server's own pages need. */
export interface PageServices {
  readonly settings: AuthSettings;
  readonly users: Users;
}

/**
 * Pages to sign in, sign up, reset a password and manage an account, for apps without pages of
 * their own.
 */
export function authPageRoutes(services: PageServices): Route[] {
  const { get } = routeTable(services);
  const asset = { scope: "open", quiet: true } as const;
  return [
    ...Object.keys(PAGES)
      .filter(isPageName)
      .map((name) => get(`/auth/${name}`, "anyone", page(name), { scope: "open" })),
    get("/auth/assets/auth.js", "anyone", served(script, "text/javascript"), asset),
    get("/auth/assets/auth.css", "anyone", served(style, "text/css"), asset),
  ];
}

/** @throws PylonError NOT_FOUND when the app has pages of its own, or no users */
function requirePages({ settings, users }: PageServices): void {
  if (!settings.hasPages())
    throw new PylonError("NOT_FOUND", "The built-in pages are disabled: this app has its own.");
  if (!users.isDeclared)
    throw new PylonError("NOT_FOUND", "This app has no user entity.", {
      hint: `Declare entity("${users.entityName}", { email: field.string().unique() }).`,
    });
}

function page(name: PageName): Handler<PageServices> {
  return (services, context) => {
    requirePages(services);
    const { origins, appName } = services.settings;
    const wanted = context.query("redirect") ?? context.query("next") ?? "/";
    const redirect = origins.redirectTarget(context.request, wanted, "redirect");
    const failed = context.query("oauth_error");
    const problem = failed === null ? null : oauthFailureText(failed);
    return new Response(pageHtml(name, appName(), redirect, problem), {
      headers: {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": POLICY,
      },
    });
  };
}

/** Serves a text that browsers cache, and revalidate with each use. */
function served(text: string, type: string): Handler<PageServices> {
  const etag = `"${sha256(text).slice(0, 16)}"`;
  return (services, { request }) => {
    requirePages(services);
    const headers = {
      ETag: etag,
      "Cache-Control": "no-cache",
      "Content-Type": `${type}; charset=utf-8`,
    };
    return request.headers.get("if-none-match") === etag
      ? new Response(null, { status: 304, headers })
      : new Response(text, { headers });
  };
}
