import { LIVE_PROTOCOL, isLiveMessage, type Hello, type LiveMessage } from "@pylonsync/protocol";
import type { Platform } from "../platform/platform.ts";
import type { Session } from "../session/session.ts";
import type { HttpClient } from "./http.ts";
import { EarlyMessages, openLater } from "./transport/open-later.ts";
import { parseJson, receive } from "./transport/message.ts";
import type {
  LiveConnection,
  TextEvents,
  TransportEvents,
  TransportType,
} from "./transport/transport.ts";
import { openSocket, protocolsOf } from "./transport/websocket.ts";

/** A participant of a connection of version 2. */
export interface LiveClient {
  /** Called before a connection opens. Messages sent now are delivered first. */
  opened(send: (text: string) => void): void;
  /** Called when the connection has ended. */
  closed(): void;
  /** Handles a message of the server, which may be for another client of the connection. */
  take(message: LiveMessage): void;
  /** Handles the server's hello, with the entities that the app wants available offline. */
  hello?(hello: Pick<Hello, "offline" | "push">): void;
  /** The data belonged to another user: drops it. */
  reset(): void;
}

/** The dependencies of a connection of version 2. */
export interface LiveOptions {
  readonly platform: Platform;
  readonly http: HttpClient;
  readonly session: Pick<Session, "token">;
  readonly socketUrl: string;
}

/**
 * Opens a connection of version 2.
 *
 * @throws Error if WebSockets are not available
 */
export function openLive(
  transport: TransportType,
  options: LiveOptions,
  clients: readonly LiveClient[],
  events: TransportEvents,
): LiveConnection {
  return connectLive((texts) => openTransport(transport, options, texts), clients, events);
}

/** Connects clients to the server, and carries rooms and topics too. */
export function connectLive(
  open: (events: TextEvents) => LiveConnection,
  clients: readonly LiveClient[],
  events: TransportEvents,
): LiveConnection {
  let isOver = false;
  const end = (): void => {
    isOver = true;
    for (const client of clients) client.closed();
  };
  const onHello: TransportEvents["onHello"] = (hello) => {
    events.onHello(hello);
    for (const client of clients) client.hello?.(hello);
  };
  const connection = open({
    onOpen: events.onOpen,
    onEnd: (why) => {
      end();
      events.onEnd(why);
    },
    onText: (text) => {
      const message = parseJson(text);
      if (!isLiveMessage(message)) return receive(text, { ...events, onHello });
      for (const client of clients) client.take(message);
      return undefined;
    },
  });
  for (const client of clients) client.opened((text) => connection.send?.(text));
  return {
    ...connection,
    close: () => {
      if (isOver) return;
      connection.close();
      end();
    },
  };
}

function openTransport(
  transport: TransportType,
  { platform, http, session, socketUrl }: LiveOptions,
  events: TextEvents,
): LiveConnection {
  if (transport !== "websocket")
    return openLater(
      platform,
      async () => {
        const { openLivePolling, openLiveStream } = await import("./extras.ts");
        const open = transport === "sse" ? openLiveStream : openLivePolling;
        return () => open(http, platform, events);
      },
      events,
    );
  const early = new EarlyMessages();
  const socket = openSocket(socketUrl, [LIVE_PROTOCOL, ...protocolsOf(session.token)], platform, {
    ...events,
    onOpen: () => {
      early.flush(socket.send);
      events.onOpen();
    },
  });
  return {
    ...socket,
    send: (text) => {
      if (!early.keep(text)) socket.send?.(text);
    },
  };
}
