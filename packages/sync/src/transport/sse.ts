import { createParser } from "eventsource-parser";
import { PylonClientError } from "../errors.ts";
import type { HttpClient } from "../http.ts";
import type { Platform } from "../platform.ts";
import { receive } from "./message.ts";
import type { EndReason, LiveConnection, TransportEvents } from "./transport.ts";

/**
 * The server sends a comment every 30 s; a stream that is silent for longer than this is given up.
 */
const SILENT_MS = 75_000;

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
  let cancelTimer: () => void = () => undefined;

  const end = (why: EndReason | null): void => {
    if (isEnded) return;
    isEnded = true;
    cancelTimer();
    abort.abort();
    if (why !== null) events.onEnd(why);
  };
  const watch = (): void => {
    cancelTimer();
    cancelTimer = platform.after(SILENT_MS, () => end("lost"));
  };
  const parser = createParser({
    onEvent: ({ data }) => {
      const why = receive(data, events);
      if (why !== undefined) end(why);
    },
  });

  const read = async (): Promise<void> => {
    const response = await http.open(
      "GET",
      path,
      undefined,
      { Accept: "text/event-stream" },
      abort.signal,
    );
    events.onOpen();
    watch();
    const reader = response.body
      ?.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>)
      .getReader();
    while (reader !== undefined && !isEnded) {
      const { done, value } = await reader.read();
      if (done) break;
      watch();
      parser.feed(value);
    }
    end("lost");
  };
  read().catch((error: unknown) =>
    end(error instanceof PylonClientError && error.status === 401 ? "unauthorized" : "lost"),
  );
  return { close: () => end(null) };
}
