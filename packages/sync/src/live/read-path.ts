import { LIVE_AGGREGATE, LIVE_SEARCH } from "@pylonsync/protocol";

const PATHS: ReadonlyMap<string, string> = new Map([
  [LIVE_AGGREGATE, "/api/aggregate/"],
  [LIVE_SEARCH, "/api/search/"],
]);

/** Returns the request with the same response as a live read; undefined for other functions. */
export function readPath(
  live: string,
  args: unknown,
): { readonly path: string; readonly body: unknown; readonly entity: string } | undefined {
  const path = PATHS.get(live);
  if (path === undefined || typeof args !== "object" || args === null) return undefined;
  const { entity, spec } = args as { readonly entity?: unknown; readonly spec?: unknown };
  const name = String(entity);
  return { path: path + encodeURIComponent(name), body: spec, entity: name };
}
