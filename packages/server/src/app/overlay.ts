import { escapeHtml } from "../util/escape-html.ts";
import { devScriptTag } from "./dev-reload.ts";
import type { WebBundle } from "./web-bundle.ts";
import style from "./overlay.text.css" with { type: "text" };
import { placeText, type FrameLine, type WebBuildError, type WebProblem } from "./web-problem.ts";

/**
 * In dev mode: the response instead of a page that can't be bundled. It reloads automatically when
 * a file of the page is saved.
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
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${count} in web/</title>
<style>${style}</style>${script}
</head>
<body><main><h1><b>${count}</b> in <code>web/</code></h1>
${problems.map(problemOf).join("\n")}
<p class=hint>The page reloads when you save the fix. Shown in dev mode only.</p>
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
  const className = isFaulty ? "line faulty" : "line";
  const line = `<span class="${className}"><i>${number}</i>${escapeHtml(text)}\n</span>`;
  if (!isFaulty) return line;
  // The text before the mark is as wide as the text before the error, tabs included.
  const before = text.slice(0, column - 1).replaceAll(/[^\t]/g, " ");
  return `${line}<span class="line faulty"><i></i>${before}<b>^</b>\n</span>`;
}
