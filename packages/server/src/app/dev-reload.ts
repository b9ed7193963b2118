import { systemPlatform, type Timer } from "../platform.ts";

const EVENTS = "/__pylon/dev-events";
const SCRIPT = "/__pylon/dev.js";
const POLL_MS = 100;
const PING_EVERY = 150;

/** The kinds of pages that reload themselves in dev mode. */
export type DevPageKind = "web" | "home" | "studio";

/**
 * Returns the tag with which a page loads the dev script.
 *
 * @param version what the page shows; the page reloads when it differs
 */
export function devScriptTag(kind: DevPageKind, version: string): string {
  return `<script src="${SCRIPT}" data-page="${kind}" data-version="${version}" defer></script>`;
}

/**
 * The page reloads when it receives another version than its own, even if that existed before the
 * page was loaded; a restarted server sends its version too.
 */
const SOURCE = `const { page, version } = document.currentScript.dataset;
new EventSource("${EVENTS}?page=" + page).onmessage = ({ data }) => {
  if (data !== version) location.reload();
};
`;

/**
 * In dev mode: returns the script that reloads the page after a save, and its event stream; null
 * for other paths.
 *
 * @param current returns the version of what a page of this kind shows now
 */
export function devReload(
  request: Request,
  path: string,
  current: (kind: DevPageKind) => string,
): Response | null {
  if (path === SCRIPT)
    return new Response(SOURCE, {
      headers: { "Content-Type": "text/javascript;charset=utf-8", "Cache-Control": "no-cache" },
    });
  if (path === EVENTS) {
    const kind = kindOf(new URL(request.url).searchParams.get("page"));
    return new Response(
      versions(() => current(kind)),
      { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" } },
    );
  }
  return null;
}

function kindOf(name: string | null): DevPageKind {
  return name === "home" || name === "studio" ? name : "web";
}

/** Sends the page's version, now and whenever it changes. */
function versions(current: () => string): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let timer: Timer | null = null;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      let sent: string | undefined;
      let checks = 0;
      const check = (): void => {
        const version = current();
        checks += 1;
        if (version !== sent) controller.enqueue(encoder.encode(`data: ${version}\n\n`));
        else if (checks % PING_EVERY === 0) controller.enqueue(encoder.encode(": still here\n\n"));
        sent = version;
      };
      check();
      timer = systemPlatform.every(POLL_MS, check).unref();
    },
    cancel() {
      timer?.cancel();
    },
  });
}
