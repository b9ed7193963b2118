import type {
  ChangeEvent,
  Hello,
  PresenceMessage,
  RoomEvent,
  TopicMessage,
} from "@pylonsync/protocol";

/** How changes come: over a socket, an event stream, or by asking again and again. */
export type TransportType = "websocket" | "sse" | "poll";

/** What is tried where a transport does not get through; after the last one, the first again. */
export const NEXT_TRANSPORT: Readonly<Partial<Record<TransportType, TransportType>>> = {
  websocket: "sse",
  sse: "poll",
};

/** What comes from other users, and is in no row. */
export type PeerMessage = PresenceMessage | RoomEvent | TopicMessage;

/** What a live connection tells. */
export interface TransportEvents {
  /** The server is there and sends what happens. */
  readonly onOpen: () => void;
  readonly onChanges: (events: readonly ChangeEvent[]) => void;
  readonly onHello: (hello: Pick<Hello, "seq" | "epoch" | "schema">) => void;
  readonly onMessage: (message: PeerMessage) => void;
  /** Once, at the end. Nothing comes after it. */
  readonly onEnd: (why: EndReason) => void;
}

/**
 * Why a connection ended. `lost`: connect again; `resync`: take a new snapshot first;
 * `unauthorized`: the server says that the session has ended; `closed`: a close code says so, which
 * may be that of a proxy.
 */
export type EndReason = "lost" | "resync" | "unauthorized" | "closed";

/** How long a connection may take to open, in milliseconds. */
export const HANDSHAKE_MS = 10_000;

/** Where the replica is. */
export interface Cursor {
  readonly seq: number;
  readonly epoch: string | null;
}

/** One live connection. */
export interface LiveConnection {
  /** Ends it without `onEnd`. */
  close(): void;
  /**
   * Something says that it is dead: it ends unless the server is heard within this time. Absent
   * where nothing can be asked.
   */
  check?(withinMs: number): void;
  /** Sends a message, if it can and is open. */
  send?(text: string): void;
}
