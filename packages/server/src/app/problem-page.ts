import { appProblem, type AppProblems } from "./app-problem.ts";
import type { CompiledApp } from "./compile-app.ts";
import { devScriptTag, type DevPageKind } from "./dev-reload.ts";
import { appOverlay, overlay } from "./overlay.ts";

/** In Studio, only errors of the app cause a reload. */
export const STUDIO_VERSION = "studio";

/**
 * In dev mode: returns the version of what a page shows, which is another one while the saved
 * version of the app has errors.
 *
 * @param own the version of the page's own content
 */
export function shownVersion(own: string, problems: AppProblems): string {
  return problems.length === 0 ? own : `${own}-${Bun.hash(JSON.stringify(problems)).toString(36)}`;
}

/**
 * In dev mode: the response to a browser instead of a page while the saved version of the app has
 * errors; otherwise null.
 */
export function problemPage(
  { headers }: Request,
  { dir, manifest }: CompiledApp,
  problems: AppProblems,
  { kind, version }: { readonly kind: DevPageKind; readonly version: string },
): Response | null {
  if (problems.length === 0 || !isDocument(headers)) return null;
  const shown = problems.map((problem) => appProblem(problem, dir));
  const script = devScriptTag(kind, shownVersion(version, problems));
  return overlay(appOverlay(shown, manifest.name), script);
}

/** Whether a browser shows the response as a page. */
export function isDocument(headers: Headers): boolean {
  return headers.get("accept")?.includes("text/html") === true;
}
