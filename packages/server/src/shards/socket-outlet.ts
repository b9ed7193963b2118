import type { CloseCode } from "@pylonsync/protocol";
import type { ShardOutlet } from "./shard-connection.ts";

/** The size of the tick before the view, in bytes. */
const HEADER_BYTES = 8;

/** The methods of a server's WebSocket that shards use. */
export interface ShardServerSocket {
  sendText(text: string): number;
  sendBinary(bytes: Uint8Array): number;
  getBufferedAmount(): number;
  close(code?: number, reason?: string): void;
  terminate(): void;
}

/** The last encoded frame, because many sockets are sent the same one in succession. */
let last = { tick: -1, view: "", bytes: new Uint8Array() };

/** Encodes a view for older clients: the tick in 64 bits, big-endian, and the view as JSON. */
function encodeView(tick: number, view: string): Uint8Array {
  if (last.tick === tick && last.view === view) return last.bytes;
  const bytes = Buffer.alloc(HEADER_BYTES + Buffer.byteLength(view));
  bytes.writeBigUInt64BE(BigInt(tick));
  bytes.write(view, HEADER_BYTES);
  last = { tick, view, bytes };
  return bytes;
}

/** The transport of a WebSocket. */
export class SocketOutlet implements ShardOutlet {
  readonly takesDeltas: boolean;
  readonly rate: number | null;
  /** The bytes that wait at the replica that relays the client. */
  relayBacklog = 0;
  readonly #socket: ShardServerSocket;
  /** Whether bytes may wait for the client: otherwise the runtime is not asked in each step. */
  #mayWait = false;

  constructor(
    socket: ShardServerSocket,
    options: Pick<ShardOutlet, "takesDeltas"> & { readonly rate: number | null },
  ) {
    this.#socket = socket;
    this.takesDeltas = options.takesDeltas;
    this.rate = options.rate;
  }

  sendText(text: string): void {
    this.#socket.sendText(text);
    // The runtime collects what is sent while it handles an event of the socket, and returns no
    // backlog then.
    this.#mayWait = true;
  }

  sendBytes(bytes: Uint8Array): void {
    // The runtime returns a number that is not positive if the frame waits or was dropped.
    if (this.#socket.sendBinary(bytes) <= 0) this.#mayWait = true;
  }

  sendView(tick: number, view: string): void {
    this.#socket.sendBinary(encodeView(tick, view));
    // As above.
    this.#mayWait = true;
  }

  backlog(): number {
    if (!this.#mayWait) return this.relayBacklog;
    const waiting = this.#socket.getBufferedAmount();
    this.#mayWait = waiting > 0;
    return waiting + this.relayBacklog;
  }

  close(code: CloseCode, reason: string): void {
    this.#socket.close(code, reason);
  }
}
