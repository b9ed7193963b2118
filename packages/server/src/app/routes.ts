import { json } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { openApiOf, type DescribedApp } from "./openapi/openapi.ts";

/** Routes that describe the app to tools: its manifest, its API in OpenAPI, its search indexes. */
export function manifestRoutes(app: () => DescribedApp): Route[] {
  const searchIndexes = (): readonly object[] =>
    app().manifest.entities.flatMap(({ name, search }) =>
      search === undefined ? [] : [{ entity: name, ...search }],
    );
  return [
    {
      method: "GET",
      path: "/api/manifest",
      access: "admin-or-dev",
      handle: () => json(app().manifest),
    },
    {
      method: "GET",
      path: "/api/openapi.json",
      access: "admin-or-dev",
      handle: () => json(openApiOf(app())),
    },
    {
      method: "GET",
      path: "/api/admin/ops/search_indexes",
      access: "admin",
      handle: () => json(searchIndexes()),
    },
  ];
}
