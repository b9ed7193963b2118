import { CloseCode, SHARD_BACKLOG_BYTES } from "@pylonsync/protocol";
import type { Platform, Timer } from "../platform.ts";
import type { ShardServerSocket } from "./socket-outlet.ts";

/** The WebSocket to the other replica, before and after it is open. */
export interface RelaySocket {
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  send(data: string | Uint8Array): void;
  close(): void;
}

/** The parameters of a relay. */
export interface RelayStart {
  readonly socket: RelaySocket;
  readonly client: Pick<
    ShardServerSocket,
    "sendText" | "sendBinary" | "getBufferedAmount" | "close"
  >;
  readonly platform: Pick<Platform, "every">;
  /** Whether the client has a join token, and so receives reconnect tokens. */
  readonly takesReconnect: boolean;
  readonly onEnd: () => void;
}

/** The interval for checking the backlog of a slow client, in milliseconds. */
const POLL_MS = 200;
const RECONNECT_FRAME = '{"reconnect":';
/** Close codes for lost connections, which a server must not send. */
const LOST_CODES: ReadonlySet<number> = new Set([1004, 1005, 1006, 1015]);
/** The maximum length of a reason: a close frame has at most 123 bytes, four per character. */
const MAX_REASON = 30;

/** Whether the other replica accepted the client, or the close code and reason. */
export type RelayOutcome = "open" | { readonly code: number; readonly reason: string };

/**
 * Relays a client through this replica to the one that runs its shard. Frames are forwarded
 * unchanged. The backlog of a slow client is reported to the other replica, which skips steps.
 */
export class ShardRelay {
  readonly #start: RelayStart;
  readonly #opened = Promise.withResolvers<RelayOutcome>();
  #poll: Timer | null = null;
  #isOpen = false;
  #isOver = false;

  constructor(start: RelayStart) {
    this.#start = start;
    const { socket } = start;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    // The following close event has more information.
    socket.onerror = () => undefined;
  }

  /** Resolves with the first frame, or when the socket is closed before. */
  get opened(): Promise<RelayOutcome> {
    return this.#opened.promise;
  }

  /** Forwards a frame of the client. */
  forward(data: string | Uint8Array): void {
    if (!this.#isOver) this.#start.socket.send(data);
  }

  /** Called when the client has disconnected. */
  close(): void {
    if (this.#isOver) return;
    this.#end();
    this.#start.socket.close();
  }

  /** Called when the other replica is dead: the client reconnects, and reaches the next one. */
  lost(): void {
    if (this.#isOver) return;
    this.close();
    this.#start.client.close(CloseCode.TRY_AGAIN_LATER, "the shard's replica is unavailable");
  }

  #received(data: unknown): void {
    if (this.#isOver) return;
    this.#isOpen = true;
    this.#opened.resolve("open");
    const { client, takesReconnect } = this.#start;
    if (typeof data === "string") {
      if (takesReconnect || !data.startsWith(RECONNECT_FRAME)) client.sendText(data);
    } else if (data instanceof ArrayBuffer) client.sendBinary(new Uint8Array(data));
    if (this.#poll === null && client.getBufferedAmount() > SHARD_BACKLOG_BYTES) this.#slowDown();
  }

  #slowDown(): void {
    const tell = (): void => {
      const bytes = this.#start.client.getBufferedAmount();
      this.forward(JSON.stringify({ backlog: bytes }));
      if (bytes > SHARD_BACKLOG_BYTES) return;
      this.#poll?.cancel();
      this.#poll = null;
    };
    this.#poll = this.#start.platform.every(POLL_MS, tell).unref();
    tell();
  }

  #closed(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#opened.resolve({ code, reason });
    this.#end();
    if (!this.#isOpen) return;
    if (LOST_CODES.has(code))
      this.#start.client.close(CloseCode.TRY_AGAIN_LATER, "the shard's replica is unavailable");
    else this.#start.client.close(code, reason.slice(0, MAX_REASON));
  }

  #end(): void {
    this.#isOver = true;
    this.#poll?.cancel();
    this.#start.onEnd();
    this.#opened.resolve({ code: 1006, reason: "" });
  }
}
