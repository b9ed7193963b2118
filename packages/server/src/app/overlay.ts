import { escapeHtml } from "../util/escape-html.ts";
import { devScriptTag } from "./dev-reload.ts";
import type { WebBundle } from "./web-bundle.ts";
import { placeText, type FrameLine, type WebBuildError, type WebProblem } from "./web-problem.ts";

/**
 * In dev mode: what a browser shows in place of a page that can't be bundled. It reloads by itself
 * once a file of the page is saved.
 */
export function overlay(web: WebBundle, { problems }: WebBuildError): Response {
  return new Response(htmlOf(problems, devScriptTag(web)), {
    status: 500,
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      "Content-Security-Policy":
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; " +
        "base-uri 'none'; form-action 'none'",
    },
  });
}

function htmlOf(problems: readonly WebProblem[], script: string): string {
  const count = problems.length === 1 ? "1 error" : `${problems.length} errors`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${count} in web/</title><style>${STYLE}</style>${script}</head>
<body><main><h1><b>${count}</b> in <code>web/</code></h1>
${problems.map(problemOf).join("\n")}
<p class=hint>Save the fix, and the page comes back by itself. Shown in dev mode only.</p>
</main></body></html>`;
}

function problemOf({ message, place }: WebProblem): string {
  const head = `<h2>${escapeHtml(message)}</h2>`;
  if (place === null) return `<section>${head}</section>`;
  const frame =
    place.frame.length === 0
      ? ""
      : `<pre>${place.frame.map((line) => lineOf(line, place.column ?? 1)).join("")}</pre>`;
  return `<section>${head}<p class=place>${escapeHtml(placeText(place))}</p>${frame}</section>`;
}

function lineOf({ number, text, isFaulty }: FrameLine, column: number): string {
  const line = `<span class="${isFaulty ? "line faulty" : "line"}"><i>${number}</i>${escapeHtml(text)}\n</span>`;
  if (!isFaulty) return line;
  // What stands before the mark is as wide as the text before the fault, tabs included.
  const before = text.slice(0, column - 1).replaceAll(/[^\t]/g, " ");
  return `${line}<span class="line faulty"><i></i>${before}<b>^</b>\n</span>`;
}

const STYLE = `:root{color-scheme:light dark;--bad:#c01c28;--line:color-mix(in srgb,CanvasText 14%,transparent);--soft:color-mix(in srgb,CanvasText 65%,transparent);--tint:color-mix(in srgb,var(--bad) 12%,transparent)}@media(prefers-color-scheme:dark){:root{--bad:#ff7b82}}
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText;border-top:4px solid var(--bad);overflow-wrap:anywhere}main{max-width:56rem;margin:0 auto;padding:2rem 1rem 3rem}
h1{font-size:1.15rem;font-weight:500;margin:0 0 1.25rem}h1 b{color:var(--bad)}section{margin:0 0 1.25rem;border:1px solid var(--line);border-radius:10px;overflow:hidden}h2{font-size:1.05rem;margin:0;padding:.85rem 1rem .2rem}
.place{margin:0;padding:0 1rem .85rem;color:var(--soft);font:.9rem ui-monospace,monospace}pre{margin:0;padding:.6rem 0;border-top:1px solid var(--line);font:.9rem/1.6 ui-monospace,monospace;overflow-x:auto;tab-size:4;overflow-wrap:normal}
.line{display:block;width:max-content;min-width:100%;padding-right:1rem}.faulty{background:var(--tint)}pre i{display:inline-block;width:3.5rem;padding-right:1rem;text-align:right;color:var(--soft);font-style:normal;user-select:none}pre b{color:var(--bad)}.hint{color:var(--soft);font-size:.95rem}code{font:.92em ui-monospace,monospace}`;
