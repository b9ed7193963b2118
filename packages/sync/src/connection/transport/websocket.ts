import { bearerProtocol, CloseCode } from "@pylonsync/protocol";
import type { Platform } from "../../platform/platform.ts";
import { receive } from "./message.ts";
import {
  HANDSHAKE_MS,
  type EndReason,
  type LiveConnection,
  type TransportEvents,
} from "./transport.ts";

/** A silent socket is asked after this time, in milliseconds, */
const PING_AFTER_MS = 18_000;
/** and given up when it stays silent for this. */
const PONG_WITHIN_MS = 6_000;

/** What a socket tells. */
export interface SocketEvents extends Pick<TransportEvents, "onOpen" | "onEnd"> {
  /** @returns how the connection ends by it, or undefined when it goes on */
  readonly onText: (text: string) => EndReason | undefined;
}

/**
 * Opens the socket that a replica is kept in step by.
 *
 * @throws Error where there are no sockets
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

/** What a socket's handshake says of who opens it. */
export function protocolsOf(token: string | null): string[] {
  return token === null ? [] : [bearerProtocol(token)];
}

/**
 * Opens a socket. One that does not open in time, or stays silent when it is asked, is given up.
 *
 * @throws Error where there are no sockets
 */
export function openSocket(
  url: string,
  protocols: string[],
  platform: Platform,
  events: SocketEvents,
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
  const watch = (): void => {
    cancelTimer();
    cancelTimer = platform.after(PING_AFTER_MS, () => ask(PONG_WITHIN_MS));
  };

  socket.onopen = () => {
    isOpen = true;
    watch();
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
  // The close event that follows says more.
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
