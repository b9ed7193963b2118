import { bearerProtocol, CloseCode } from "@pylonsync/protocol";
import type { Platform } from "../../platform/platform.ts";
import { receive } from "./message.ts";
import {
  HANDSHAKE_MS,
  type EndReason,
  type LiveConnection,
  type TextEvents,
  type TransportEvents,
} from "./transport.ts";

/** The time of silence after which a socket is pinged, in milliseconds. */
const PING_AFTER_MS = 18_000;
/** The same until the first message, which the server sends immediately. */
const PING_FIRST_AFTER_MS = 5_000;
/** The time without a response after which it is closed, in milliseconds. */
const PONG_WITHIN_MS = 6_000;

/**
 * Opens the socket that keeps a replica in sync.
 *
 * @throws Error if WebSockets are not available
 */
export function openWebSocket(
  url: string,
  token: string | null,
  platform: Platform,
  events: TransportEvents,
): LiveConnection {
  return openSocket(url, protocolsOf(token), platform, {
    onOpen: events.onOpen,
    onEnd: events.onEnd,
    onText: (text) => receive(text, events),
  });
}

/** Returns the subprotocols that identify the client in the handshake. */
export function protocolsOf(token: string | null): string[] {
  return token === null ? [] : [bearerProtocol(token)];
}

/**
 * Opens a socket. It is closed if it does not open in time, or does not respond to a ping.
 *
 * @throws Error if WebSockets are not available
 */
export function openSocket(
  url: string,
  protocols: string[],
  platform: Platform,
  events: TextEvents,
): LiveConnection {
  let isOpen = false;
  let isEnded = false;
  const socket = platform.openSocket(url, protocols);

  let cancelTimer = platform.after(HANDSHAKE_MS, () => end("lost"));
  const end = (why: EndReason | null): void => {
    if (isEnded) return;
    isEnded = true;
    cancelTimer();
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
    if (why !== null) events.onEnd(why);
  };
  const ask = (withinMs: number): void => {
    cancelTimer();
    socket.send('{"type":"ping"}');
    cancelTimer = platform.after(withinMs, () => end("lost"));
  };
  const watch = (pingAfterMs = PING_AFTER_MS): void => {
    cancelTimer();
    cancelTimer = platform.after(pingAfterMs, () => ask(PONG_WITHIN_MS));
  };

  socket.onopen = () => {
    isOpen = true;
    watch(PING_FIRST_AFTER_MS);
    events.onOpen();
  };
  socket.onmessage = ({ data }) => {
    watch();
    if (typeof data !== "string") return;
    const why = events.onText(data);
    if (why !== undefined) end(why);
  };
  socket.onclose = ({ code }) =>
    end(code === CloseCode.UNAUTHORIZED || code === CloseCode.SESSION_ENDED ? "closed" : "lost");
  // The following close event has more information.
  socket.onerror = () => undefined;
  return {
    close: () => end(null),
    check: (withinMs) => {
      if (isOpen && !isEnded) ask(withinMs);
    },
    send: (text) => {
      if (isOpen && !isEnded) socket.send(text);
    },
  };
}
