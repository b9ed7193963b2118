import {
  CloseCode,
  MAX_SHARD_INPUT_BYTES,
  MAX_VIEW_RATE,
  PylonError,
  RECONNECT_TOKEN_MS,
  readShardInput,
  type ShardRole,
} from "@pylonsync/protocol";
import { SocketRate } from "../connections/socket-rate.ts";
import type { Identity } from "../identity/identity.ts";
import type { Platform, Timer } from "../platform.ts";
import { parseJson } from "../request/body.ts";
import type { JoinClaims } from "./join-tokens.ts";
import type { ShardConnection, ShardOutlet } from "./shard-connection.ts";
import { ShardRelay } from "./shard-relay.ts";
import type { ShardRelays } from "./shard-relays.ts";
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
  readonly role: ShardRole;
  /** Views a second that the client wants at most, as it says so; null: all. */
  readonly rate: string | null;
  /** In the place of an identity: says who it is, which shard, and in which role. */
  readonly joinToken: string | null;
  /** In the place of both, where another replica sent the client. */
  readonly relayed?: JoinClaims;
}

/** How long a socket that floods has to take its close code, in milliseconds. */
const LAST_CHANCE_MS = 500;
/** Most frames that wait until a socket has joined; more are dropped. */
const MAX_EARLY = 16;
const BACKLOG = /^\{"backlog":(\d{1,12})\}$/;
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

/** What a socket of a shard needs. */
export interface ShardSocketServices {
  readonly shards: Shards;
  readonly relays: ShardRelays;
  readonly platform: Platform;
}

/** A client's socket to a shard, from open to close. */
export class ShardSocket {
  readonly #start: ShardSocketStart;
  readonly #shards: Shards;
  readonly #platform: Platform;
  readonly #rate: SocketRate;
  readonly #relays: ShardRelays;
  #connection: ShardConnection | null = null;
  /** In its place, where the shard runs elsewhere. */
  #relay: ShardRelay | null = null;
  /** What waits at the replica that relays the client, in bytes. */
  #relayBacklog = 0;
  /** What came in before it had joined. */
  readonly #early: (string | Uint8Array)[] = [];
  #renewal: Timer | null = null;
  #isClosed = false;
  #isFlooding = false;

  /** The client's address, for the count of open connections. */
  readonly address: string;

  constructor(
    start: ShardSocketStart,
    address: string,
    { shards, relays, platform }: ShardSocketServices,
  ) {
    this.#start = start;
    this.address = address;
    this.#shards = shards;
    this.#relays = relays;
    this.#platform = platform;
    this.#rate = new SocketRate(platform.monotonic);
  }

  /** Joins the shard; who may not is told why by a close code, which a browser can read. */
  async opened(socket: ShardServerSocket): Promise<void> {
    try {
      const entered = await this.#join(socket);
      if (entered instanceof ShardRelay) this.#relay = entered;
      else this.#connection = entered;
      // It may have gone while the shard started.
      if (this.#isClosed) this.closed();
      for (const data of this.#early.splice(0)) this.#hand(data);
    } catch (error) {
      const [code, reason] = closeOf(error);
      socket.close(code, reason);
    }
  }

  received(socket: ShardServerSocket, data: string | Uint8Array): void {
    if (!this.counted(socket, data.length)) return;
    if (this.#connection !== null || this.#relay !== null) this.#hand(data);
    // It may have seen the shard already, while its session is looked up once more.
    else if (this.#early.length < MAX_EARLY) this.#early.push(data);
  }

  #hand(data: string | Uint8Array): void {
    if (this.#relay !== null) this.#relay.forward(data);
    else if (this.#connection !== null && !this.#isBacklog(data))
      this.#take(this.#connection, data);
  }

  /** Only another replica says how much waits at the client. */
  #isBacklog(data: string | Uint8Array): boolean {
    if (this.#start.relayed === undefined || typeof data !== "string") return false;
    const match = BACKLOG.exec(data);
    if (match === null) return false;
    this.#relayBacklog = Number(match[1]);
    return true;
  }

  #take(connection: ShardConnection, data: string | Uint8Array): void {
    let clientSeq: number | null = null;
    try {
      const message = readShardInput(jsonOf(data));
      if (message === null)
        throw new PylonError("INVALID_JSON", 'An input must be {"input": ..., "client_seq": 1}.');
      clientSeq = message.client_seq;
      this.#shards.input(connection, message.input, { clientSeq, seen: message.seen });
    } catch (error) {
      if (!(error instanceof PylonError)) throw error;
      // Without a message it is one of many that were refused for the same reason.
      if (error.message !== "") connection.refuse(clientSeq, error.code, error.message);
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
    this.#renewal?.cancel();
    if (this.#connection !== null) this.#shards.leave(this.#connection);
    this.#connection = null;
    this.#relay?.close();
    this.#relay = null;
  }

  #join(socket: ShardServerSocket): Promise<ShardConnection | ShardRelay> {
    const { identity, shardId, subscriberId, role, joinToken, relayed } = this.#start;
    if (relayed !== undefined) return this.#joinRelayed(relayed, socket);
    if (joinToken !== null) return this.#joinBy(joinToken, socket);
    if (identity === null)
      throw new PylonError("UNAUTHORIZED", "the token is unknown, expired or revoked");
    if (shardId === null)
      throw new PylonError("SHARD_NOT_FOUND", "The URL has no shard: add ?shard=NAME.");
    const claims = { shardId, subscriberId, identity, role };
    return this.#enter(claims, false, socket);
  }

  #enter(
    claims: JoinClaims,
    isInvited: boolean,
    socket: ShardServerSocket,
  ): Promise<ShardConnection | ShardRelay> {
    const outlet = this.#outletOf(socket);
    const isGone = (): boolean => this.#isClosed;
    return this.#relays.enter({ ...claims, isInvited, outlet, client: socket, isGone });
  }

  /** Of a client that another replica knows. */
  async #joinRelayed(claims: JoinClaims, socket: ShardServerSocket): Promise<ShardConnection> {
    const outlet = this.#outletOf(socket);
    const join = { ...claims, isInvited: true, isRelayed: true, outlet };
    const connection = await this.#shards.join(join);
    if (outlet.takesDeltas) this.#renewToken(claims, outlet);
    return connection;
  }

  async #joinBy(token: string, socket: ShardServerSocket): Promise<ShardConnection | ShardRelay> {
    const claims = await this.#shards.tokens.verify(token);
    const { shardId } = this.#start;
    if (claims.relay !== undefined || (shardId !== null && shardId !== claims.shardId))
      throw new PylonError("JOIN_TOKEN_REFUSED", "The join token is for another shard.");
    const entered = await this.#enter(claims, true, socket);
    // Through another replica it is that one's to give.
    const isHere = !(entered instanceof ShardRelay);
    if (isHere && this.#start.takesDeltas) this.#renewToken(claims, this.#outletOf(socket));
    return entered;
  }

  #outletOf(socket: ShardServerSocket): ShardOutlet {
    return {
      takesDeltas: this.#start.takesDeltas,
      rate: viewRateOf(this.#start.rate),
      sendText: (text) => void socket.sendText(text),
      sendBytes: (bytes) => void socket.sendBinary(bytes),
      sendView: (tick, view) => void socket.sendBinary(encodeView(tick, view)),
      backlog: () => socket.getBufferedAmount() + this.#relayBacklog,
      close: (code, reason) => socket.close(code, reason),
    };
  }

  /** The token that it came with is over soon: it gets another to come back with, in time. */
  #renewToken(claims: JoinClaims, outlet: ShardOutlet): void {
    const sent = async (): Promise<void> => {
      const own = { ...claims, relay: undefined };
      const reconnect = await this.#shards.tokens.sign(own, RECONNECT_TOKEN_MS);
      if (!this.#isClosed) outlet.sendText(JSON.stringify({ reconnect }));
    };
    // Without one it comes back as it came at first.
    sent().catch(() => undefined);
    this.#renewal = this.#platform
      .after(RECONNECT_TOKEN_MS / 2, () => this.#renewToken(claims, outlet))
      .unref();
  }
}

/**
 * The views a second that a client asks for, by `?rate=`; null: all.
 *
 * @throws PylonError INVALID_DATA
 */
export function viewRateOf(text: string | null): number | null {
  if (text === null) return null;
  const rate = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (rate >= 1 && rate <= MAX_VIEW_RATE) return rate;
  throw new PylonError(
    "INVALID_DATA",
    `"rate" must be a whole number from 1 to ${MAX_VIEW_RATE}.`,
    {
      field: "rate",
      hint: "Omit it to receive every view.",
    },
  );
}

/** @throws PylonError PAYLOAD_TOO_LARGE, INVALID_JSON */
function jsonOf(message: string | Uint8Array): unknown {
  // No character of UTF-16 takes more than three bytes.
  const isLarge =
    message.length * 3 > MAX_SHARD_INPUT_BYTES &&
    Buffer.byteLength(message) > MAX_SHARD_INPUT_BYTES;
  if (isLarge)
    throw new PylonError(
      "PAYLOAD_TOO_LARGE",
      `An input may have at most ${MAX_SHARD_INPUT_BYTES} bytes.`,
    );
  if (typeof message === "string") return parseJson(message);
  try {
    return parseJson(decoder.decode(message));
  } catch (error) {
    if (error instanceof PylonError) throw error;
    throw new PylonError("INVALID_JSON", "An input must be UTF-8.");
  }
}

/** Which codes tell a client to come back, and which not to. */
function closeOf(error: unknown): readonly [CloseCode, string] {
  if (!(error instanceof PylonError)) return [CloseCode.TRY_AGAIN_LATER, "the server failed"];
  const { code, message, status } = error;
  if (code === "JOIN_TOKEN_REFUSED") return [CloseCode.JOIN_TOKEN_REFUSED, shortened(message)];
  if (code === "SHARD_NOT_FOUND") return [CloseCode.SHARD_NOT_FOUND, shortened(message)];
  if (code === "INVALID_DATA") return [CloseCode.UNAUTHORIZED, shortened(message)];
  if (status === 401 || status === 403)
    return [CloseCode.UNAUTHORIZED, shortened(`unauthorized: ${message}`)];
  return [CloseCode.TRY_AGAIN_LATER, shortened(message)];
}

function shortened(reason: string): string {
  let text = reason;
  while (Buffer.byteLength(text) > MAX_REASON_BYTES) text = text.slice(0, -1);
  return text;
}
