import { isLiveOpened } from "@pylonsync/protocol";
import type { HttpClient } from "../http.ts";
import type { Platform } from "../../platform/platform.ts";
import { endReasonOf } from "./transport.ts";
import { readEventStream } from "./event-stream.ts";
import { parseJson } from "./message.ts";
import { Outgoing } from "./outgoing.ts";
import type { LiveConnection, TextEvents } from "./transport.ts";

/** Opens a connection of version 2 as an event stream; the client sends with requests. */
export function openLiveStream(
  http: HttpClient,
  platform: Platform,
  events: TextEvents,
): LiveConnection {
  const outgoing = new Outgoing(http, (error) => end(endReasonOf(error)));
  const end = readEventStream(
    // By then all initial messages have been queued.
    (signal) => {
      const body = { transport: "sse", messages: outgoing.take() };
      return http.open("POST", "/api/live", body, {}, { signal });
    },
    platform,
    {
      onOpen: events.onOpen,
      onEnd: (why) => {
        outgoing.close();
        events.onEnd(why);
      },
      onText: (text) => {
        const opened = parseJson(text);
        if (!isLiveOpened(opened)) return events.onText(text);
        outgoing.named(opened.id);
        return undefined;
      },
    },
  );
  return {
    close: () => {
      outgoing.close();
      end(null);
    },
    send: (text) => outgoing.send(text),
  };
}
