import { PylonError } from "@pylonsync/protocol";
import type { CompiledApp } from "./compile-app.ts";
import { devHome, type DevHomeOptions } from "./dev-home.ts";
import { devReload } from "./dev-reload.ts";
import { overlay } from "./overlay.ts";
import { decodedPath, isWellKnown } from "./public-files.ts";
import type { WebAsset } from "./web-asset.ts";
import type { WebBundle } from "./web-bundle.ts";
import { WebBuildError } from "./web-problem.ts";

/** The options of serving the app's page. */
export interface PageOptions {
  /**
   * The page that lists what the app contains, at `/` while the app has no page of its own; null
   * outside dev mode, where there is no such page.
   */
  readonly home: DevHomeOptions | null;
  /** Called for a page that can't be bundled; in dev mode once for each save. */
  readonly onBroken: (error: WebBuildError) => void;
}

/**
 * Serves the app's own web page from its bundle. A path that is neither a file nor a path of the
 * server is a path inside the page, so index.html is returned.
 */
export function createPage(
  app: () => CompiledApp,
  { home, onBroken }: PageOptions,
): (request: Request, path: string) => Promise<Response | null> {
  const reported = new WeakSet<WebBundle>();
  const broken = (web: WebBundle, error: unknown, request: Request): Response => {
    if (!(error instanceof WebBuildError)) throw error;
    if (!web.isDev || !reported.has(web)) onBroken(error);
    reported.add(web);
    if (web.isDev && isDocument(request)) return overlay(web, error);
    throw new PylonError("INTERNAL", "The app's web page can't be built.", {
      hint: "See the server's log for the errors.",
    });
  };
  return async (request, path) => {
    const { web, manifest } = app();
    if (home !== null && path === "/" && web?.hasPage !== true && isRead(request))
      return devHome(app(), home);
    if (
      isBelow(path, ["/api", "/studio"]) ||
      (manifest.auth?.pages !== false && isBelow(path, ["/auth"]))
    )
      return null;
    if (web === null) return null;
    if (!isRead(request) && !web.hasPage) return null;
    if (!isRead(request))
      throw new PylonError("METHOD_NOT_ALLOWED", `Method ${request.method} is not allowed here.`, {
        hint: "Allowed: GET.",
      });
    const reload = web.isDev ? devReload(path, () => app().web) : null;
    if (reload !== null) return reload;
    let asset: WebAsset | null;
    try {
      asset = (await web.asset(path)) ?? (isFile(path) ? null : await web.asset("/"));
    } catch (error) {
      return broken(web, error, request);
    }
    return asset === null ? null : asset.answer(request);
  };
}

/** Whether a browser shows the response as a page. */
function isDocument({ headers }: Request): boolean {
  return headers.get("accept")?.includes("text/html") === true;
}

/**
 * Whether it is one of the server's own paths: a misspelt route is an error, and not a path inside
 * the page.
 */
function isBelow(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(`${root}/`));
}

function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

function isFile(path: string): boolean {
  return isWellKnown(path) || /\.[a-z0-9]+$/i.test(decodedPath(path));
}
