import type { Manifest } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";

/** Checks the routes of an app, and that the query of each accepts its parameters. */
export function* checkRoutes(manifest: Manifest): Generator<Diagnostic> {
  const seen = new Set<string>();
  for (const [index, { path, query, auth }] of manifest.routes.entries()) {
    const at = `routes[${index}]`;
    if (path === "") yield errorAt("ROUTE_PATH_EMPTY", "A route has no path.", `${at}.path`);
    else if (!path.startsWith("/"))
      yield errorAt(
        "ROUTE_PATH_NO_SLASH",
        `The route "${path}" does not start with /.`,
        `${at}.path`,
      );
    if (seen.has(path))
      yield errorAt("ROUTE_PATH_DUPLICATE", `The route "${path}" is declared twice.`, `${at}.path`);
    seen.add(path);
    if (auth !== undefined && auth !== "public" && auth !== "user")
      yield errorAt(
        "ROUTE_AUTH_INVALID",
        `The route "${path}" has the unknown auth "${String(auth)}".`,
        `${at}.auth`,
        'Use "public" or "user".',
      );
    if (query === undefined) continue;
    const call = manifest.queries.find(({ name }) => name === query);
    if (call === undefined) {
      yield errorAt(
        "ROUTE_QUERY_NOT_FOUND",
        `The route "${path}" uses the query "${query}", which does not exist.`,
        `${at}.query`,
      );
      continue;
    }
    const inputs = new Set(call.input?.map(({ name }) => name));
    for (const [, param = ""] of path.matchAll(/:([A-Za-z0-9_]+)/g)) {
      if (!inputs.has(param))
        yield errorAt(
          "ROUTE_PARAM_NOT_IN_QUERY",
          `The route "${path}" has the parameter :${param}, which is not an input of "${query}".`,
          `${at}.path`,
        );
    }
  }
}
