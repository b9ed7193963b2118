import { createParser } from "eventsource-parser";
import { PylonClientError } from "../errors.ts";
import type { Platform } from "../../platform/platform.ts";
import { HANDSHAKE_MS, type EndReason, type TextEvents } from "./transport.ts";

/** The time of silence after which a stream is closed, in milliseconds. */
const SILENT_MS = 75_000;
/** The number of the server's announced heartbeat intervals of silence after which it is closed. */
const SILENT_INTERVALS = 2;
/** The tolerance for latency, in milliseconds. */
const SLACK_MS = 5_000;
const INTERVAL = /every (\d+) s/;

/**
 * Reads an event stream with fetch, because EventSource can't send the token.
 *
 * @param open requests the stream, until it is aborted
 * @returns a function that closes it; `onEnd` is called unless its argument is null
 */
export function readEventStream(
  open: (signal: AbortSignal) => Promise<Response>,
  platform: Platform,
  events: TextEvents,
): (why: EndReason | null) => void {
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
  const received = (): void => {
    cancelTimer();
    cancelTimer = platform.after(silentMs, () => end("lost"));
    // A proxy that buffers responses delivers nothing.
    if (!isOpen) events.onOpen();
    isOpen = true;
  };
  const read = async (): Promise<void> => {
    const response = await open(abort.signal);
    const parser = createParser({
      onComment: (comment) => {
        const [, seconds] = INTERVAL.exec(comment) ?? [];
        if (seconds === undefined) return;
        silentMs = SILENT_INTERVALS * Number(seconds) * 1000 + SLACK_MS;
        received();
      },
      onEvent: ({ data }) => {
        const why = isEnded ? undefined : events.onText(data);
        if (why !== undefined) end(why);
      },
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    while (reader !== undefined && !isEnded) {
      const { done, value } = await reader.read();
      if (done || isEnded) break;
      received();
      parser.feed(value);
    }
    end("lost");
  };
  read().catch((error: unknown) =>
    end(error instanceof PylonClientError && error.status === 401 ? "unauthorized" : "lost"),
  );
  return end;
}
