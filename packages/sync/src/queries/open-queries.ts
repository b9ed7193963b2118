import { LIVE_PROTOCOL, LiveMessageSchema } from "@pylonsync/protocol";
import * as v from "valibot";
import { receive } from "../connection/transport/message.ts";
import type { LiveConnection, TransportEvents } from "../connection/transport/transport.ts";
import { openSocket, protocolsOf } from "../connection/transport/websocket.ts";
import type { Platform } from "../platform/platform.ts";
import type { QuerySubscriptions } from "./query-subscriptions.ts";

/**
 * Opens the socket on which queries are asked for. Rooms and topics come over it, too.
 *
 * @throws Error where there are no sockets
 */
export function openQueries(
  url: string,
  token: string | null,
  platform: Platform,
  queries: QuerySubscriptions,
  events: TransportEvents,
): LiveConnection {
  return openSocket(url, [LIVE_PROTOCOL, ...protocolsOf(token)], platform, {
    onOpen: events.onOpen,
    onEnd: (why) => {
      queries.closed();
      events.onEnd(why);
    },
    onText: (text) => {
      const message = v.safeParse(LiveMessageSchema, parseJson(text));
      if (!message.success) return receive(text, events);
      queries.take(message.output);
      return undefined;
    },
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
