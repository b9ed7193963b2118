import { userEntityOf } from "../auth/users/users.ts";
import { escapeHtml } from "../util/escape-html.ts";
import { DEV_PAGE_STYLE } from "../request/dev-page-style.ts";
import type { CompiledApp } from "./compile-app.ts";
import { devScriptTag } from "./dev-reload.ts";
import style from "./dev-home.text.css" with { type: "text" };

/** The options of the home page of a server in dev mode. */
export interface DevHomeOptions {
  /** Whether `/studio/mail` shows mails; if a provider is configured, they are sent instead. */
  readonly hasMailbox: boolean;
  /** Whether Studio is at `/studio`. */
  readonly hasStudio: boolean;
}

/** The page that lists what the app contains, and the version of what it shows. */
interface DevHome {
  readonly html: (script: string) => string;
  readonly version: string;
}

/** Creates the page once for each version of an app: open pages ask for it all the time. */
export function devHomes(options: DevHomeOptions): (app: CompiledApp) => DevHome {
  const known = new WeakMap<CompiledApp, DevHome>();
  return (app) => {
    const found = known.get(app);
    if (found !== undefined) return found;
    const html = (script: string): string => htmlOf(app, options, script);
    const home = { html, version: Bun.hash(html("")).toString(36) };
    known.set(app, home);
    return home;
  };
}

/** In dev mode: the page that lists what the app contains, and where to look. */
export function devHome({ html, version }: DevHome): Response {
  return new Response(html(devScriptTag("home", version)), {
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      "Content-Security-Policy":
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; " +
        "base-uri 'none'; form-action 'none'",
    },
  });
}

function htmlOf(app: CompiledApp, options: DevHomeOptions, script: string): string {
  const { name, version } = app.manifest;
  const entities = [...app.model.schema.entities].map(({ name: entity, fields }) =>
    row(entity, [...fields.keys()].join(", ")),
  );
  const functions = [...app.functions].map(([fn, { type }]) => row(fn, type));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(name)} in dev mode</title>
<style>${DEV_PAGE_STYLE}${style}</style>${script}
</head>
<body><main><h1>${escapeHtml(name)} <small>${escapeHtml(version)}</small></h1>
<p>The API is served at this address in dev mode. The app has no web page yet. Create
<code>web/index.html</code> to show a page at <code>/</code>.</p>
<h2>Entities</h2><dl>${entities.join("")}</dl>
<h2>Functions</h2>${functions.length === 0 ? NO_FUNCTIONS : `<dl>${functions.join("")}</dl>`}
${partsOf(app).join("")}<h2>Pages</h2><dl>${linksOf(app, options).join("")}</dl>
<p class=none>The documentation is in Pylon's <code>docs/</code> folder. Continue with
<code>docs/quickstart.md</code>.</p>
</main></body></html>`;
}

const NO_FUNCTIONS =
  "<p class=none>None yet. Add a file to <code>functions/</code> to create one.</p>";

/** The parts that not every app has. */
function partsOf({ http, workflows, shards, manifest: { crons = [] } }: CompiledApp): string[] {
  return [
    section(
      "HTTP functions",
      http.routes.map(({ path, methods }) => row(path, methods)),
    ),
    section(
      "Workflows",
      [...workflows].map(([name, { description = "" }]) => row(name, description)),
    ),
    section(
      "Shards",
      [...shards.keys()].map((name) => row(name, "")),
    ),
    section(
      "Crons",
      crons.map((cron) => row(cron.name, `${cron.schedule} ${cron.function}`)),
    ),
  ];
}

function section(title: string, rows: readonly string[]): string {
  return rows.length === 0 ? "" : `<h2>${title}</h2><dl>${rows.join("")}</dl>\n`;
}

function linksOf(app: CompiledApp, { hasMailbox, hasStudio }: DevHomeOptions): string[] {
  const hasUserPages =
    app.manifest.auth?.pages !== false &&
    app.model.schema.find(userEntityOf(app.manifest.auth ?? {})) !== undefined;
  return [
    ...(hasUserPages
      ? [
          link("/auth/sign-in", "sign in or create an account"),
          link("/auth/account", "the signed-in account"),
        ]
      : []),
    ...(hasMailbox ? [link("/studio/mail", "mails sent by this app")] : []),
    ...(hasStudio ? [link("/studio", "Studio: rows, functions, jobs and logs")] : []),
    link("/health", "server status"),
    link("/api/manifest", "the app's manifest"),
    link("/api/fn", "the app's functions and their arguments"),
  ];
}

function row(name: string, detail: string): string {
  return `<div><dt><code>${escapeHtml(name)}</code></dt><dd>${escapeHtml(detail)}</dd></div>`;
}

function link(path: string, text: string): string {
  return `<div><dt><a href="${path}">${path}</a></dt><dd>${text}</dd></div>`;
}
