import type {
  ChangeEvent,
  Hello,
  PresenceMessage,
  RoomEvent,
  TopicMessage,
} from "@pylonsync/protocol";
import { PylonClientError } from "../errors.ts";

/** How changes are received: over a WebSocket, an event stream, or by polling. */
export type TransportType = "websocket" | "sse" | "poll";

/** The fallback of each transport that does not work; the last one falls back to the first. */
export const NEXT_TRANSPORT: Readonly<Partial<Record<TransportType, TransportType>>> = {
  websocket: "sse",
  sse: "poll",
};

/** A message of another user that does not concern rows. */
export type PeerMessage = PresenceMessage | RoomEvent | TopicMessage;

/** The events of a transport that does not parse messages. */
export interface TextEvents {
  /** Called when the server has accepted the connection. */
  readonly onOpen: () => void;
  /** @returns why the connection ends, or undefined if it continues */
  readonly onText: (text: string) => EndReason | undefined;
  /** Called once, at the end. No events follow. */
  readonly onEnd: (why: EndReason) => void;
}

/** The events of a live connection. */
export interface TransportEvents {
  /** Called when the server has accepted the connection, and sends changes. */
  readonly onOpen: () => void;
  readonly onChanges: (events: readonly ChangeEvent[]) => void;
  readonly onHello: (hello: Pick<Hello, "seq" | "epoch" | "schema" | "offline" | "push">) => void;
  readonly onMessage: (message: PeerMessage) => void;
  /** Called once, at the end. No events follow. */
  readonly onEnd: (why: EndReason) => void;
}

/**
 * Why a connection ended. `lost`: reconnect; `resync`: load a new snapshot first; `unauthorized`:
 * the server reports that the session has ended; `closed`: a close code says so, which may come
 * from a proxy.
 */
export type EndReason = "lost" | "resync" | "unauthorized" | "closed";

/** Returns why a connection ends after a failed request. */
export function endReasonOf(error: unknown): EndReason {
  if (!(error instanceof PylonClientError)) return "lost";
  if (error.status === 410) return "resync";
  return error.status === 401 ? "unauthorized" : "lost";
}

/** The timeout for opening a connection, in milliseconds. */
export const HANDSHAKE_MS = 10_000;

/** The position of the replica in the change log. */
export interface Cursor {
  readonly seq: number;
  readonly epoch: string | null;
}

/** A live connection. */
export interface LiveConnection {
  /** Closes it without calling `onEnd`. */
  close(): void;
  /**
   * Checks a connection that may be dead: it ends unless data is received within this time.
   * Undefined for transports that can't be checked.
   */
  check?(withinMs: number): void;
  /** Sends a message, if it is open and can send. */
  send?(text: string): void;
}
