import type { HttpClient } from "../http.ts";
import type { Platform } from "../../platform/platform.ts";
import { readEventStream } from "./event-stream.ts";
import { receive } from "./message.ts";
import type { LiveConnection, TransportEvents } from "./transport.ts";

/** Opens the event stream that keeps a full replica in sync. */
export function openEventStream(
  path: string,
  http: HttpClient,
  platform: Platform,
  events: TransportEvents,
): LiveConnection {
  const open = (signal: AbortSignal): Promise<Response> =>
    http.open("GET", path, undefined, {}, { signal });
  const end = readEventStream(open, platform, {
    ...events,
    onText: (text) => receive(text, events),
  });
  return { close: () => end(null) };
}
