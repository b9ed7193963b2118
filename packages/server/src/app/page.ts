import { PylonError } from "@pylonsync/protocol";
import type { CompiledApp } from "./compile-app.ts";
import { devPages, type DevPagesOptions } from "./dev-pages.ts";
import { devScriptTag } from "./dev-reload.ts";
import { overlay, webOverlay } from "./overlay.ts";
import { isFile, isRead, isServers } from "./page-path.ts";
import { isDocument } from "./problem-page.ts";
import type { WebAsset } from "./web-asset.ts";
import type { WebBundle } from "./web-bundle.ts";
import { WebBuildError } from "./web-problem.ts";

/** The options of serving the app's page. */
export interface PageOptions {
  /** Null outside dev mode. */
  readonly dev: DevPagesOptions | null;
  /** Called for a page that can't be bundled; in dev mode once for each save. */
  readonly onBroken: (error: WebBuildError) => void;
}

/**
 * Serves the app's own web page from its bundle. A path that is neither a file nor a path of the
 * server is a path inside the page, so index.html is returned.
 */
export function createPage(
  app: () => CompiledApp,
  { dev, onBroken }: PageOptions,
): (request: Request, path: string) => Promise<Response | null> {
  const devPage = dev === null ? null : devPages(app, dev);
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
    const own = devPage === null || !isRead(request) ? null : devPage(request, path);
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
