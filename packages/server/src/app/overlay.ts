import { escapeHtml } from "../util/escape-html.ts";
import style from "./overlay.text.css" with { type: "text" };
import { placeText, type FrameLine, type WebBuildError, type WebProblem } from "./web-problem.ts";

/** What is wrong, and what the page says below it. */
export interface OverlayContent {
  readonly problems: readonly WebProblem[];
  /** Where the errors are, as HTML. */
  readonly where: string;
  /** What is served meanwhile; empty if that is nothing. */
  readonly note: string;
}

/** Returns what to show when the page of `web/` can't be bundled. */
export function webOverlay({ problems }: WebBuildError): OverlayContent {
  return { problems, where: "<code>web/</code>", note: "" };
}

/** Returns what to show when the saved version of the app is not valid. */
export function appOverlay(problems: readonly WebProblem[], appName: string): OverlayContent {
  const note = "The server keeps running the previous version. ";
  return { problems, where: escapeHtml(appName), note };
}

/**
 * In dev mode: the response instead of a page when there are errors. It reloads automatically when
 * they are fixed.
 *
 * @param script the tag of the dev script
 */
export function overlay(content: OverlayContent, script: string): Response {
  return new Response(htmlOf(content, script), {
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

function htmlOf({ problems, where, note }: OverlayContent, script: string): string {
  const count = problems.length === 1 ? "1 error" : `${problems.length} errors`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${count} in ${where.replaceAll(/<[^>]*>/g, "")}</title>
<style>${style}</style>${script}
</head>
<body><main><h1><b>${count}</b> in ${where}</h1>
${problems.map(problemOf).join("\n")}
<p class=hint>${note}The page reloads when you save the fix. Shown in dev mode only.</p>
</main></body></html>`;
}

function problemOf({ message, place, hint }: WebProblem): string {
  const fix = hint === undefined ? "" : `<p class=fix>${escapeHtml(hint)}</p>`;
  const head = `<h2>${escapeHtml(message)}</h2>${fix}`;
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
