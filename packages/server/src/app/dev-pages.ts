import type { AppProblems } from "./app-problem.ts";
import type { CompiledApp } from "./compile-app.ts";
import { devHome, devHomes, type DevHomeOptions } from "./dev-home.ts";
import { devReload, type DevPageKind } from "./dev-reload.ts";
import { isFile, isServers } from "./page-path.ts";
import { problemPage, shownVersion, STUDIO_VERSION } from "./problem-page.ts";

/** The options of the pages of dev mode. */
export interface DevPagesOptions {
  /** Those of the page that lists what the app contains, at `/` while it has no page itself. */
  readonly home: DevHomeOptions;
  /** Why the saved version of the app is not served. */
  readonly problems: () => AppProblems;
}

/**
 * What dev mode itself serves: reloads, errors of the app, and the home page.
 *
 * @returns the response to a request that reads; null if dev mode does not serve the path
 */
export function devPages(
  app: () => CompiledApp,
  { home, problems }: DevPagesOptions,
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
