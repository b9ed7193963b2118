import { PylonClientError } from "../errors.ts";
import type { HttpClient } from "../http.ts";
import type { Platform } from "../../platform/platform.ts";
import { receive } from "./message.ts";
import {
  HANDSHAKE_MS,
  type EndReason,
  type LiveConnection,
  type TransportEvents,
} from "./transport.ts";

/** A stream that is silent for this long is given up, in milliseconds, */
const SILENT_MS = 75_000;
/** or for this many of the intervals at which its server says that it sends something, */
const SILENT_INTERVALS = 2;
/** and this many milliseconds on the way. */
const SLACK_MS = 5_000;
const INTERVAL = /every (\d+) s/;

/**
 * Reads the server's event stream. It is read with fetch, because EventSource can't send the token.
 */
export function openEventStream(
  path: string,
  http: HttpClient,
  platform: Platform,
  events: TransportEvents,
): LiveConnection {
  const abort = new AbortController();
  let isEnded = false;
  let silentMs = SILENT_MS;
  let isOpen = false;
  let cancelTimer = platform.after(HANDSHAKE_MS, () => end("lost"));

  const end = (why: EndReason | null): void => {
    if (isEnded) return;
    isEnded = true;
    cancelTimer();
    abort.abort();
    if (why !== null) events.onEnd(why);
  };
  const hear = (): void => {
    cancelTimer();
    cancelTimer = platform.after(silentMs, () => end("lost"));
    // A proxy that gathers an answer before it passes it on lets nothing through.
    if (!isOpen) events.onOpen();
    isOpen = true;
  };
  const read = async (): Promise<void> => {
    // Few pages need it: those that do load it.
    const { createParser } = await import("eventsource-parser");
    const response = await http.open("GET", path, undefined, {}, { signal: abort.signal });
    const parser = createParser({
      onComment: (comment) => {
        const [, seconds] = INTERVAL.exec(comment) ?? [];
        if (seconds === undefined) return;
        silentMs = SILENT_INTERVALS * Number(seconds) * 1000 + SLACK_MS;
        hear();
      },
      onEvent: ({ data }) => {
        const why = receive(data, events);
        if (why !== undefined) end(why);
      },
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    while (reader !== undefined && !isEnded) {
      const { done, value } = await reader.read();
      if (done || isEnded) break;
      hear();
      parser.feed(value);
    }
    end("lost");
  };
  read().catch((error: unknown) =>
    end(error instanceof PylonClientError && error.status === 401 ? "unauthorized" : "lost"),
  );
  return { close: () => end(null) };
}
