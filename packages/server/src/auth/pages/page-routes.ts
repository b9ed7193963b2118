import { hash } from "node:crypto";
import type { RequestContext } from "../../request/context.ts";
import { oauthFailureText, PylonError } from "@pylonsync/protocol";
import type { Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import type { AuthSettings } from "../security/auth-settings.ts";
import type { Users } from "../users/users.ts";
import script from "./auth-page.text.js" with { type: "text" };
import style from "./auth-page.text.css" with { type: "text" };
import { pageHtml, PAGES, type PageName } from "./page-html.ts";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/**
 * Pages to sign in, sign up, reset a password and look after an account, for apps that bring none
 * of their own.
 */
export function authPageRoutes(settings: AuthSettings, users: Users): Route[] {
  const requireOn = (): void => {
    if (!settings.hasPages()) throw new PylonError("NOT_FOUND", "This app has pages of its own.");
    if (!users.isDeclared)
      throw new PylonError("NOT_FOUND", "This app has no users to sign in.", {
        hint: `Declare entity("${users.entityName}", { email: field.string().unique() }).`,
      });
  };

  const served = (text: string, type: string): Route["handle"] => {
    const etag = `"${hash("sha256", text, "hex").slice(0, 16)}"`;
    return ({ request }) => {
      requireOn();
      const headers = {
        ETag: etag,
        "Cache-Control": "no-cache",
        "Content-Type": `${type}; charset=utf-8`,
      };
      return request.headers.get("if-none-match") === etag
        ? new Response(null, { status: 304, headers })
        : new Response(text, { headers });
    };
  };

  const page =
    (name: PageName) =>
    (context: RequestContext): Answer => {
      requireOn();
      const wanted = context.query("redirect") ?? context.query("next") ?? "/";
      const redirect = settings.origins.redirectTarget(context.request, wanted, "redirect");
      const failed = context.query("oauth_error");
      return new Response(
        pageHtml(
          name,
          settings.appName(),
          redirect,
          failed === null ? null : oauthFailureText(failed),
        ),
        {
          headers: {
            "Content-Type": "text/html; charset=utf-8",
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
          },
        },
      );
    };

  return [
    ...(Object.keys(PAGES) as PageName[]).map((name): Route => ({
      method: "GET",
      path: `/auth/${name}`,
      access: "anyone",
      scope: "open",
      handle: page(name),
    })),
    {
      method: "GET",
      path: "/auth/assets/auth.js",
      access: "anyone",
      scope: "open",
      quiet: true,
      handle: served(script, "text/javascript"),
    },
    {
      method: "GET",
      path: "/auth/assets/auth.css",
      access: "anyone",
      scope: "open",
      quiet: true,
      handle: served(style, "text/css"),
    },
  ];
}
