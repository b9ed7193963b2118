import { CloseCode, SHARD_BACKLOG_BYTES } from "@pylonsync/protocol";
import type { Platform, Timer } from "../platform.ts";
import type { ShardServerSocket } from "./shard-socket.ts";

/** The far end of a relay, before and after it is open. */
export interface RelaySocket {
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  send(data: string | Uint8Array): void;
  close(): void;
}

/** What a relay needs. */
export interface RelayStart {
  readonly socket: RelaySocket;
  readonly client: Pick<
    ShardServerSocket,
    "sendText" | "sendBinary" | "getBufferedAmount" | "close"
  >;
  readonly platform: Pick<Platform, "every">;
  /** Whether the client came with a join token, and takes another one to come back with. */
  readonly takesReconnect: boolean;
  readonly onEnd: () => void;
}

/** How often a client that reads slowly is looked at again, in milliseconds. */
const POLL_MS = 200;
const RECONNECT_FRAME = '{"reconnect":';
/** Codes that a server may not send: how a connection was lost. */
const LOST_CODES: ReadonlySet<number> = new Set([1004, 1005, 1006, 1015]);
/** A close frame has room for 123 bytes of reason. */
const MAX_REASON = 30;

/** Whether the other replica took the client in, or why not. */
export type RelayOutcome = "open" | { readonly code: number; readonly reason: string };

/**
 * A client's way through this replica to the one that runs its shard: what either says goes to the
 * other as it is. A client that reads slowly is told of to the other end, which leaves steps out.
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
    // The close event that follows says more.
    socket.onerror = () => undefined;
  }

  /** Settled with the first frame, or with the end before it. */
  get opened(): Promise<RelayOutcome> {
    return this.#opened.promise;
  }

  /** What the client says. */
  forward(data: string | Uint8Array): void {
    if (!this.#isOver) this.#start.socket.send(data);
  }

  /** The client is gone. */
  close(): void {
    if (this.#isOver) return;
    this.#end();
    this.#start.socket.close();
  }

  /** The replica at the other end is gone: the client comes back, and finds the next one. */
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
