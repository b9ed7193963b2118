import type { Manifest } from "@pylonsync/sdk";
import { json } from "../request/responses.ts";
import type { Route } from "../request/route.ts";

/** What the app declares, for tools. */
export function manifestRoutes(manifest: () => Manifest): Route[] {
  return [
    {
      method: "GET",
      path: "/api/manifest",
      access: "admin-or-dev",
      handle: () => json(manifest()),
    },
  ];
}
