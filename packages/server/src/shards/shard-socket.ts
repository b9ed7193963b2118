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
import { SocketOutlet, type ShardServerSocket } from "./socket-outlet.ts";
import { ShardRelay } from "./shard-relay.ts";
import type { ShardRelays } from "./shard-relays.ts";
import type { Shards } from "./shards.ts";

/** The parameters of a shard's socket. */
export interface ShardSocketStart {
  /** Null: the token was rejected. */
  readonly identity: Identity | null;
  readonly shardId: string | null;
  readonly subscriberId: string;
  /** Whether the client requested deltas, acks and rejections. */
  readonly takesDeltas: boolean;
  readonly role: ShardRole;
  /** The maximum views per second as requested by the client; null: no limit. */
  readonly rate: string | null;
  /** A token that determines the identity, the shard and the role; null for none. */
  readonly joinToken: string | null;
  /** The same information from another replica that relays the client. */
  readonly relayed?: JoinClaims;
}

/** The time between the close code and the termination of a flooding socket, in milliseconds. */
const LAST_CHANCE_MS = 500;
/** The maximum number of frames queued until a socket has joined; more are dropped. */
const MAX_EARLY = 16;
const BACKLOG = /^\{"backlog":(\d{1,12})\}$/;
/** The reason of a close frame has at most 123 bytes. */
const MAX_REASON_BYTES = 120;
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The services that a shard's socket uses. */
export interface ShardSocketServices {
  readonly shards: Shards;
  readonly relays: ShardRelays;
  readonly platform: Platform;
}

/** A client's WebSocket to a shard. */
export class ShardSocket {
  readonly #start: ShardSocketStart;
  readonly #shards: Shards;
  readonly #platform: Platform;
  readonly #rate: SocketRate;
  readonly #relays: ShardRelays;
  #connection: ShardConnection | null = null;
  /** The relay, if the shard runs on another replica. */
  #relay: ShardRelay | null = null;
  /** The outlet of a client that another replica relays, and which reports its backlog. */
  #relayedOutlet: SocketOutlet | null = null;
  /** Frames that arrived before it had joined. */
  readonly #early: (string | Uint8Array)[] = [];
  #renewal: Timer | null = null;
  #isClosed = false;
  #isFlooding = false;

  /** The client's address, for the connection limit. */
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

  /** Joins the shard. A rejection is sent as a close code, which browsers can read. */
  async opened(socket: ShardServerSocket): Promise<void> {
    try {
      const entered = await this.#join(socket);
      if (entered instanceof ShardRelay) this.#relay = entered;
      else this.#connection = entered;
      // The client may have disconnected while the shard started.
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
    // It may have received a view already, while its session is being checked again.
    else if (this.#early.length < MAX_EARLY) this.#early.push(data);
  }

  #hand(data: string | Uint8Array): void {
    if (this.#relay !== null) this.#relay.forward(data);
    else if (this.#connection !== null && !this.#isBacklog(data))
      this.#take(this.#connection, data);
  }

  /** Handles a backlog report, which only other replicas send. */
  #isBacklog(data: string | Uint8Array): boolean {
    const outlet = this.#relayedOutlet;
    if (outlet === null || typeof data !== "string") return false;
    const match = BACKLOG.exec(data);
    if (match === null) return false;
    outlet.relayBacklog = Number(match[1]);
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
      // An empty message means that the rejection was already reported.
      if (error.message !== "") connection.refuse(clientSeq, error.code, error.message);
    }
  }

  /**
   * Counts a frame of any content. A flooding socket is closed with a code, and terminated shortly
   * after; its further frames are not read.
   *
   * @returns whether the frame may be processed
   */
  counted(socket: ShardServerSocket, bytes: number): boolean {
    if (this.#isFlooding) return false;
    if (this.#rate.take(bytes)) return true;
    this.#isFlooding = true;
    this.closed();
    socket.close(CloseCode.UNAUTHORIZED, "too many messages");
    // The client may ignore the close frame and continue to send.
    this.#platform.after(LAST_CHANCE_MS, () => socket.terminate()).unref();
    return false;
  }

  drained(): void {
    // Nothing is queued: the next step sends the newest view.
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

  /** Joins a client that another replica has authenticated. */
  async #joinRelayed(claims: JoinClaims, socket: ShardServerSocket): Promise<ShardConnection> {
    const outlet = this.#outletOf(socket);
    this.#relayedOutlet = outlet;
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
    // The replica that runs the shard creates the reconnect token.
    const isHere = !(entered instanceof ShardRelay);
    if (isHere && this.#start.takesDeltas) this.#renewToken(claims, this.#outletOf(socket));
    return entered;
  }

  #outletOf(socket: ShardServerSocket): SocketOutlet {
    const { takesDeltas, rate } = this.#start;
    return new SocketOutlet(socket, { takesDeltas, rate: viewRateOf(rate) });
  }

  /** Sends a reconnect token, and a new one before it expires. */
  #renewToken(claims: JoinClaims, outlet: ShardOutlet): void {
    const sent = async (): Promise<void> => {
      const own = { ...claims, relay: undefined };
      const reconnect = await this.#shards.tokens.sign(own, RECONNECT_TOKEN_MS);
      if (!this.#isClosed) outlet.sendText(JSON.stringify({ reconnect }));
    };
    // Without a token the client reconnects as it connected at first.
    sent().catch(() => undefined);
    this.#renewal = this.#platform
      .after(RECONNECT_TOKEN_MS / 2, () => this.#renewToken(claims, outlet))
      .unref();
  }
}

/**
 * Parses the maximum views per second that a client requests with `?rate=`; null: no limit.
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
  // A UTF-16 code unit has at most three bytes of UTF-8.
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

/** Returns the close code for an error: some tell the client to reconnect, others not to. */
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
