import { userEntityOf } from "../auth/users.ts";
import { escapeHtml } from "../util/escape-html.ts";
import { DEV_PAGE_STYLE } from "../request/dev-page-style.ts";
import type { CompiledApp } from "./compile-app.ts";

/** What the home page of a server in dev mode shows. */
export interface DevHomeOptions {
  /** Whether `/studio/mail` shows mails: with a provider they are sent instead. */
  readonly hasMailbox: boolean;
}

/** In dev mode: the page that shows what the app has, and where to look. */
export function devHome(app: CompiledApp, options: DevHomeOptions): Response {
  return new Response(htmlOf(app, options), {
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      "Content-Security-Policy":
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    },
  });
}

function htmlOf(app: CompiledApp, { hasMailbox }: DevHomeOptions): string {
  const { name, version } = app.manifest;
  const entities = [...app.model.schema.entities].map(({ name: entity, fields }) =>
    row(entity, [...fields.keys()].join(", ")),
  );
  const functions = [...app.functions].map(([fn, { type }]) => row(fn, type));
  const hasUserPages =
    app.manifest.auth?.pages !== false &&
    app.model.schema.find(userEntityOf(app.manifest.auth ?? {})) !== undefined;
  const links = [
    ...(app.web === null ? [] : [link("/", "the page of the app")]),
    ...(hasUserPages
      ? [
          link("/auth/sign-in", "sign in or create an account"),
          link("/auth/account", "the account that is signed in"),
        ]
      : []),
    ...(hasMailbox ? [link("/studio/mail", "the mails that this app sends")] : []),
    link("/health", "whether the server is up"),
    link("/api/manifest", "what the app declares"),
    link("/api/fn", "its functions with their arguments"),
  ];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(name)} in dev mode</title><style>${STYLE}</style></head>
<body><main><h1>${escapeHtml(name)} <small>${escapeHtml(version)}</small></h1>
<p>The API is served at this address, in dev mode. ${app.web === null ? "The app has no page of its own yet: write <code>web/index.html</code>, and it is shown at <code>/</code>. This page stays at <code>/studio</code>." : ""}</p>
<h2>Entities</h2><dl>${entities.join("")}</dl>
<h2>Functions</h2>${functions.length === 0 ? "<p class=none>None yet: a file in <code>functions/</code> is one.</p>" : `<dl>${functions.join("")}</dl>`}
<h2>Look at</h2><dl>${links.join("")}</dl>
<p class=none>The docs are in the folder <code>docs/</code> of Pylon; <code>docs/quickstart.md</code> goes on from here.</p>
</main></body></html>`;
}

function row(name: string, detail: string): string {
  return `<div><dt><code>${escapeHtml(name)}</code></dt><dd>${escapeHtml(detail)}</dd></div>`;
}

function link(path: string, text: string): string {
  return `<div><dt><a href="${path}">${path}</a></dt><dd>${text}</dd></div>`;
}

const STYLE = `${DEV_PAGE_STYLE}h2{font-size:1rem;margin:1.75rem 0 .4rem}dd{color:var(--soft)}dl+p{margin-top:1.75rem}
dl{margin:0;border-top:1px solid var(--line)}dl div{display:grid;grid-template-columns:minmax(9rem,14rem) 1fr;gap:0 1rem;padding:.45rem 0;border-bottom:1px solid var(--line)}dd{margin:0}
@media(max-width:32rem){dl div{grid-template-columns:1fr}}`;
