import type { DocumentReady } from "@pylonsync/protocol";
import { openLive, type LiveClient, type LiveOptions } from "../connection/live-client.ts";
import type { LiveConnection } from "../connection/transport/transport.ts";
import { Backoff } from "../platform/backoff.ts";
import type { Platform, Socket } from "../platform/platform.ts";

/** A server that does not send hello within this time, in milliseconds, has no documents. */
const HELLO_MS = 5_000;
/** After this time a connection counts as stable, and the backoff is reset. */
const STABLE_MS = 5_000;

/** The beginning of a message that the server sends after a whole document. */
const READY = '{"type":"crdt-ready",';

/** The dependencies of the channel. */
export interface DocumentChannelOptions extends LiveOptions {
  readonly reconnectDelay: number;
}

/** The callbacks of the channel. */
export interface DocumentChannelEvents {
  /** A binary message has arrived. */
  readonly onBytes: (bytes: Uint8Array) => void;
  /** A document that was requested has arrived as a whole. */
  readonly onReady: (document: DocumentReady) => void;
  /** Whether sockets work, as far as known after an attempt to connect. */
  readonly onResult: (works: boolean) => void;
}

/** A socket for documents, open as long as it is needed. No other transport carries bytes. */
export class DocumentChannel {
  readonly #options: DocumentChannelOptions;
  readonly #client: LiveClient;
  readonly #events: DocumentChannelEvents;
  readonly #backoff: Backoff;
  #connection: LiveConnection | null = null;
  #openedAt = Infinity;
  #cancelWait: () => void = () => undefined;

  constructor(client: LiveClient, options: DocumentChannelOptions, events: DocumentChannelEvents) {
    this.#client = client;
    this.#options = options;
    this.#events = events;
    this.#backoff = new Backoff(options.platform, options.reconnectDelay);
  }

  /** Connects, unless it is connected. */
  connect(): void {
    if (this.#connection !== null) return;
    this.#cancelWait();
    const { platform } = this.#options;
    const sockets: Socket[] = [];
    const openSocket: Platform["openSocket"] = (url, protocols) => {
      const socket = platform.openSocket(url, protocols);
      sockets.push(socket);
      return socket;
    };
    try {
      const options = { ...this.#options, platform: { ...platform, openSocket } };
      this.#connection = openLive("websocket", options, [this.#client], {
        onOpen: () => {
          this.#cancelWait = platform.after(HELLO_MS, () => this.#end());
        },
        onHello: () => {
          this.#cancelWait();
          this.#openedAt = platform.now();
          this.#events.onResult(true);
        },
        onChanges: () => undefined,
        onMessage: () => undefined,
        onEnd: () => this.#end(),
      });
      for (const socket of sockets) receiveDocuments(socket, this.#events);
    } catch {
      // WebSockets are not available.
      this.#end();
    }
  }

  /** Closes the connection, and cancels a pending reconnect. */
  disconnect(): void {
    this.#cancelWait();
    this.#connection?.close();
    this.#connection = null;
  }

  #end(): void {
    this.disconnect();
    const { platform } = this.#options;
    if (this.#openedAt === Infinity) this.#events.onResult(false);
    if (platform.now() - this.#openedAt >= STABLE_MS) this.#backoff.reset();
    this.#openedAt = Infinity;
    this.#cancelWait = platform.after(this.#backoff.next(), () => this.connect());
  }
}

/** Receives the messages that no other connection does, until the socket is closed. */
function receiveDocuments(
  socket: Socket,
  { onBytes, onReady }: Pick<DocumentChannelEvents, "onBytes" | "onReady">,
): void {
  const { onmessage } = socket;
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => {
    // Any message shows that the connection is alive.
    onmessage?.(event);
    const { data } = event;
    if (data instanceof ArrayBuffer) return onBytes(new Uint8Array(data));
    if (typeof data === "string" && data.startsWith(READY))
      onReady(JSON.parse(data) as DocumentReady);
  };
}
