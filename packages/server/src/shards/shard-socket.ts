import {
  CloseCode,
  MAX_SHARD_INPUT_BYTES,
  PylonError,
  ShardInputSchema,
} from "@pylonsync/protocol";
import * as v from "valibot";
import { SocketRate } from "../connections/socket-rate.ts";
import type { Identity } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import { parseJson } from "../request/body.ts";
import type { ShardConnection, ShardOutlet } from "./shard-connection.ts";
import type { Shards } from "./shards.ts";

/** What a shard's socket needs of a server's WebSocket. */
export interface ShardServerSocket {
  sendText(text: string): number;
  sendBinary(bytes: Uint8Array): number;
  getBufferedAmount(): number;
  close(code?: number, reason?: string): void;
  terminate(): void;
}

/** What is known of a shard's socket when it is opened. */
export interface ShardSocketStart {
  /** Null: the token was refused. */
  readonly identity: Identity | null;
  readonly shardId: string | null;
  readonly subscriberId: string;
  /** Whether the client asked for deltas, acks and refusals. */
  readonly takesDeltas: boolean;
}

/** How long a socket that floods has to take its close code, in milliseconds. */
const LAST_CHANCE_MS = 500;
/** Bytes of the tick before the view. */
const HEADER_BYTES = 8;
/** A close frame has room for 123 bytes of reason. */
const MAX_REASON_BYTES = 120;
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The frame that was encoded last: it goes to many sockets, one right after another. */
let last = { tick: -1, view: "", bytes: new Uint8Array() };

/** As older clients read it: the tick in 64 bits, big-endian, and the view as JSON. */
function encodeView(tick: number, view: string): Uint8Array {
  if (last.tick === tick && last.view === view) return last.bytes;
  const bytes = Buffer.alloc(HEADER_BYTES + Buffer.byteLength(view));
  bytes.writeBigUInt64BE(BigInt(tick));
  bytes.write(view, HEADER_BYTES);
  last = { tick, view, bytes };
  return bytes;
}

/** A client's socket to a shard, from open to close. */
export class ShardSocket {
  readonly #start: ShardSocketStart;
  readonly #shards: Shards;
  readonly #platform: Platform;
  readonly #rate: SocketRate;
  #connection: ShardConnection | null = null;
  #isClosed = false;
  #isFlooding = false;

  /** The client's address, for the count of open connections. */
  readonly address: string;

  constructor(start: ShardSocketStart, address: string, shards: Shards, platform: Platform) {
    this.#start = start;
    this.address = address;
    this.#shards = shards;
    this.#platform = platform;
    this.#rate = new SocketRate(platform.monotonic);
  }

  /** Joins the shard; who may not is told why by a close code, which a browser can read. */
  async opened(socket: ShardServerSocket): Promise<void> {
    try {
      const connection = await this.#join(socket);
      // It may have gone while the shard started.
      if (this.#isClosed) this.#shards.leave(connection);
      else this.#connection = connection;
    } catch (error) {
      const [code, reason] = closeOf(error);
      socket.close(code, reason);
    }
  }

  received(socket: ShardServerSocket, data: string | Uint8Array): void {
    if (!this.counted(socket, data.length) || this.#connection === null) return;
    let clientSeq: number | null = null;
    try {
      const message = jsonOf(data);
      const parsed = v.safeParse(ShardInputSchema, message);
      if (!parsed.success || Array.isArray(message))
        throw new PylonError("INVALID_JSON", 'An input is {"input": ..., "client_seq": 1}.');
      clientSeq = parsed.output.client_seq ?? null;
      this.#shards.input(this.#connection, parsed.output.input, clientSeq);
    } catch (error) {
      if (!(error instanceof PylonError)) throw error;
      // Without a message it is one of many that were refused for the same reason.
      if (error.message !== "") this.#connection.refuse(clientSeq, error.code, error.message);
    }
  }

  /**
   * Counts a frame, whatever is in it. A socket that floods is closed with a code, and dropped
   * shortly after: what it goes on sending is not read.
   *
   * @returns whether the frame is to be looked at
   */
  counted(socket: ShardServerSocket, bytes: number): boolean {
    if (this.#isFlooding) return false;
    if (this.#rate.take(bytes)) return true;
    this.#isFlooding = true;
    this.closed();
    socket.close(CloseCode.UNAUTHORIZED, "too many messages");
    // It may go on sending without a look at what it is told.
    this.#platform.after(LAST_CHANCE_MS, () => socket.terminate()).unref();
    return false;
  }

  drained(): void {
    // Nothing waits here: the next step sends what is newest then.
  }

  closed(): void {
    this.#isClosed = true;
    if (this.#connection !== null) this.#shards.leave(this.#connection);
    this.#connection = null;
  }

  #join(socket: ShardServerSocket): Promise<ShardConnection> {
    const { identity, shardId, subscriberId, takesDeltas } = this.#start;
    if (identity === null)
      throw new PylonError("UNAUTHORIZED", "the token is unknown, expired or revoked");
    if (shardId === null)
      throw new PylonError("SHARD_NOT_FOUND", "The address names no shard: add ?shard=NAME.");
    return this.#shards.join({
      shardId,
      subscriberId,
      identity,
      outlet: outletOf(socket, takesDeltas),
    });
  }
}

function outletOf(socket: ShardServerSocket, takesDeltas: boolean): ShardOutlet {
  return {
    takesDeltas,
    sendText: (text) => void socket.sendText(text),
    sendBytes: (bytes) => void socket.sendBinary(bytes),
    sendView: (tick, view) => void socket.sendBinary(encodeView(tick, view)),
    backlog: () => socket.getBufferedAmount(),
    close: (code, reason) => socket.close(code, reason),
  };
}

/** @throws PylonError PAYLOAD_TOO_LARGE, INVALID_JSON */
function jsonOf(message: string | Uint8Array): unknown {
  const isLarge = Buffer.byteLength(message) > MAX_SHARD_INPUT_BYTES;
  if (isLarge)
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `An input has at most ${MAX_SHARD_INPUT_BYTES} bytes.`,
    );
  if (typeof message === "string") return parseJson(message);
  try {
    return parseJson(decoder.decode(message));
  } catch (error) {
    if (error instanceof PylonError) throw error;
    throw new PylonError("INVALID_JSON", "An input is UTF-8.");
  }
}

/** Which codes tell a client to come back, and which not to. */
function closeOf(error: unknown): readonly [CloseCode, string] {
  if (!(error instanceof PylonError)) return [CloseCode.TRY_AGAIN_LATER, "the server failed"];
  const { code, message, status } = error;
  if (code === "SHARD_NOT_FOUND") return [CloseCode.SHARD_NOT_FOUND, shortened(message)];
  if (status === 401 || status === 403)
    return [CloseCode.UNAUTHORIZED, shortened(`unauthorized: ${message}`)];
  return [CloseCode.TRY_AGAIN_LATER, shortened(message)];
}

function shortened(reason: string): string {
  let text = reason;
  while (Buffer.byteLength(text) > MAX_REASON_BYTES) text = text.slice(0, -1);
  return text;
}
