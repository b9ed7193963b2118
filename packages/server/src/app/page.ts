import { PylonError } from "@pylonsync/protocol";
import type { CompiledApp } from "./compile-app.ts";
import type { AppProblems } from "./app-problem.ts";
import { devHome, devHomes, type DevHomeOptions } from "./dev-home.ts";
import { isDocument, problemPage, shownVersion, STUDIO_VERSION } from "./dev-pages.ts";
import { devReload, devScriptTag, type DevPageKind } from "./dev-reload.ts";
import { overlay, webOverlay } from "./overlay.ts";
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
  /** In dev mode: why the saved version of the app is not served. */
  readonly problems: () => AppProblems;
  /** Called for a page that can't be bundled; in dev mode once for each save. */
  readonly onBroken: (error: WebBuildError) => void;
}

/**
 * Serves the app's own web page from its bundle. A path that is neither a file nor a path of the
 * server is a path inside the page, so index.html is returned.
 */
export function createPage(
  app: () => CompiledApp,
  { home, problems, onBroken }: PageOptions,
): (request: Request, path: string) => Promise<Response | null> {
  const dev = home === null ? null : devPages(app, { home, problems });
  const reported = new WeakSet<WebBundle>();
  const broken = (web: WebBundle, error: unknown, request: Request): Response => {
    if (!(error instanceof WebBuildError)) throw error;
    if (!web.isDev || !reported.has(web)) onBroken(error);
    reported.add(web);
    if (web.isDev && isDocument(request.headers))
      return overlay(webOverlay(error), devScriptTag("web", web.version));
    throw new PylonError("INTERNAL", "The app's web page can't be built.", {
      hint: "See the server's log for the errors.",
    });
  };
  return async (request, path) => {
    const { web } = app();
    const own = dev === null || !isRead(request) ? null : dev(request, path);
    if (own !== null) return own;
    if (isServers(path, app())) return null;
    if (web === null) return null;
    if (!isRead(request) && !web.hasPage) return null;
    if (!isRead(request))
      throw new PylonError("METHOD_NOT_ALLOWED", `Method ${request.method} is not allowed here.`, {
        hint: "Allowed: GET.",
      });
    let asset: WebAsset | null;
    try {
      asset = (await web.asset(path)) ?? (isFile(path) ? null : await web.asset("/"));
    } catch (error) {
      return broken(web, error, request);
    }
    return asset === null ? null : asset.answer(request);
  };
}

/** What dev mode itself serves: reloads, errors of the app, and the home page. */
function devPages(
  app: () => CompiledApp,
  { home, problems }: { readonly home: DevHomeOptions; readonly problems: () => AppProblems },
): (request: Request, path: string) => Response | null {
  const homeOf = devHomes(home);
  const versionOf = (kind: DevPageKind): string => {
    const { web } = app();
    if (kind === "studio") return STUDIO_VERSION;
    return web?.hasPage === true ? web.version : homeOf(app()).version;
  };
  return (request, path) => {
    const reload = devReload(request, path, (kind) => shownVersion(versionOf(kind), problems()));
    if (reload !== null) return reload;
    const hasPage = app().web?.hasPage === true;
    const isPage = hasPage ? !isFile(path) && !isServers(path, app()) : path === "/";
    if (!isPage) return null;
    const kind = hasPage ? "web" : "home";
    const version = versionOf(kind);
    const problem = problemPage(request, app(), problems(), { kind, version });
    return problem ?? (hasPage ? null : devHome(homeOf(app())));
  };
}

/**
 * Whether it is one of the server's own paths: a misspelt route is an error, and not a path inside
 * the page.
 */
function isServers(path: string, { manifest }: CompiledApp): boolean {
  const roots = ["/api", "/studio", ...(manifest.auth?.pages === false ? [] : ["/auth"])];
  return isBelow(path, roots);
}

function isBelow(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(`${root}/`));
}

function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

function isFile(path: string): boolean {
  return isWellKnown(path) || /\.[a-z0-9]+$/i.test(decodedPath(path));
}
