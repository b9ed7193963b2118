import { systemPlatform, type Timer } from "../platform.ts";
import type { WebBundle } from "./web-bundle.ts";

const EVENTS = "/__pylon/dev-events";
const SCRIPT = "/__pylon/dev.js";
const POLL_MS = 100;
const PING_EVERY = 150;
/** The version of a page that was deleted. */
const NO_PAGE = "none";

/**
 * Returns the tag with which a page loads the dev script.
 *
 * @param version the version of the page's bundle
 */
export function devScriptTag({ version }: WebBundle): string {
  return `<script src="${SCRIPT}" data-version="${version}" defer></script>`;
}

/**
 * The page reloads when it receives another version than its own, even if that existed before the
 * page was loaded; a restarted server sends its version too.
 */
const SOURCE = `const { version } = document.currentScript.dataset;
new EventSource("${EVENTS}").onmessage = ({ data }) => {
  if (data !== version) location.reload();
};
`;

/**
 * In dev mode: returns the script that reloads the page after a save in `web/`, and its event
 * stream; null for other paths.
 */
export function devReload(path: string, current: () => WebBundle | null): Response | null {
  if (path === SCRIPT)
    return new Response(SOURCE, {
      headers: { "Content-Type": "text/javascript;charset=utf-8", "Cache-Control": "no-cache" },
    });
  if (path === EVENTS)
    return new Response(versions(current), {
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" },
    });
  return null;
}

/** Sends the page's version, now and whenever it changes. */
function versions(current: () => WebBundle | null): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let timer: Timer | null = null;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      let sent: string | undefined;
      let checks = 0;
      const check = (): void => {
        const version = current()?.version ?? NO_PAGE;
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
