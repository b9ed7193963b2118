import { PylonError } from "@pylonsync/protocol";
import type { CompiledApp } from "./compile-app.ts";
import { devReload } from "./dev-reload.ts";

const ONE_YEAR_S = 31_536_000;

/**
 * Answers the app's own web page from its bundle. A path that names no file and no API is a place inside the page, so it
 * answers index.html.
 */
export function createPage(app: () => CompiledApp): (request: Request, path: string) => Promise<Response | null> {
  return async (request, path) => {
    const { web } = app();
    if (web === null || path.startsWith("/api/")) return null;
    if (request.method !== "GET" && request.method !== "HEAD") {
      throw new PylonError("METHOD_NOT_ALLOWED", `${request.method} is not possible here.`, { hint: "Possible: GET." });
    }
    const reload = web.isDev ? devReload(path, () => app().web) : null;
    if (reload !== null) return reload;
    const assets = await web.assets();
    const asset = assets.get(path) ?? (isFile(path) ? undefined : assets.get("/"));
    if (asset === undefined) return null;
    return new Response(asset.body, {
      headers: {
        "Content-Type": asset.type,
        "Cache-Control": asset.immutable ? `public, max-age=${ONE_YEAR_S}, immutable` : "no-cache",
      },
    });
  };
}

function isFile(path: string): boolean {
  return /\.[a-z0-9]+$/i.test(path);
}
