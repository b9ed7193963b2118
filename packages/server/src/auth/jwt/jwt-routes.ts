import { json } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import type { Jwts } from "./jwts.ts";

/** The route that issues a session's short-lived token for other services. */
export function jwtRoutes(jwts: Jwts): Route[] {
  return [
    {
      method: "POST",
      path: "/api/auth/jwt",
      body: "small",
      access: "signed-in",
      handle: async ({ identity }) => {
        const { token, expiresAt } = await jwts.issue(identity);
        return json({ token, expires_at: Math.floor(expiresAt / 1000) });
      },
    },
  ];
}
