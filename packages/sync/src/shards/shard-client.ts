import {
  applyShardDelta,
  bearerProtocol,
  CloseCode,
  isSlotFrame,
  joinProtocol,
  parseShardBytes,
  SHARD_PROTOCOL,
  ShardFrameSchema,
  SlotReader,
} from "@pylonsync/protocol";
import * as v from "valibot";
import { PylonClientError } from "../connection/errors.ts";
import { Emitter } from "../platform/emitter.ts";
import {
  openSocketOf,
  systemPlatform,
  type Platform,
  type Socket,
  type WebSocketClass,
} from "../platform/platform.ts";
import { shardUrl, type ShardAddress } from "./shard-url.ts";

/** The options of `connectShard`. */
export interface ConnectShardOptions extends ShardAddress {
  /** The token of the signed-in user. */
  readonly token?: string | undefined;
  /**
   * A join token instead of `token`, or a function that returns one: it is called again after a
   * connection loss of such length that the previous one has expired.
   */
  readonly joinToken?: string | (() => Promise<string>) | undefined;
  /** Whether to reconnect automatically after a connection loss. Default true. */
  readonly autoReconnect?: boolean | undefined;
  /** The first reconnection delay in milliseconds, doubled up to 10 s. Default 500. */
  readonly reconnectBackoffMs?: number | undefined;
  /**
   * The class of the socket, for a platform without a global one: in Node 20 `WebSocket` of the
   * package `ws`.
   */
  readonly WebSocket?: WebSocketClass | undefined;
  /** @deprecated Has no effect: servers with shards always support WebSockets. */
  readonly sseFallback?: boolean | undefined;
  /**
   * The platform: for tests, or to simulate a worse network. Default: the one that this runs on.
   */
  readonly platform?: Pick<Platform, "openSocket" | "after" | "random"> | undefined;
}

/** A connection to a shard. Each `on...` method returns an unsubscribe function. */
export interface ShardClient<TSnapshot = unknown, TInput = unknown> {
  /**
   * Listens to complete views, whether the server sent a full view or a delta.
   *
   * @param ack the number of the last input that the view includes; null before the first
   */
  onSnapshot(listener: (snapshot: TSnapshot, tick: number, ack: number | null) => void): () => void;
  /**
   * Listens to inputs that were not sent or were rejected, and to failed connections. When the
   * connection is lost, `error.body.client_seqs` has the numbers of the inputs that were sent and
   * not confirmed: each of them was applied, or was lost.
   */
  onError(listener: (error: Error) => void): () => void;
  onOpen(listener: () => void): () => void;
  /** Listens to closed connections. @param willReturn whether it reconnects automatically */
  onClose(listener: (reason: string, willReturn: boolean) => void): () => void;
  /**
   * Sends an input. If the connection is not open, it is dropped.
   *
   * @param seen the tick that was displayed when the input was made, as returned by `interpolate`:
   *   a shard with `history` uses it to evaluate the input
   * @returns its number, from 1
   */
  send(input: TInput, seen?: number): number;
  close(): void;
  readonly connected: boolean;
}

const DEFAULT_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 10_000;
/** The number of inputs that can be reported as unconfirmed: some seconds of a game. */
const MAX_UNCONFIRMED = 256;
/** Close codes after which reconnecting would fail in the same way. */
const FINAL: ReadonlySet<number> = new Set([
  CloseCode.UNAUTHORIZED,
  CloseCode.SESSION_ENDED,
  CloseCode.JOIN_TOKEN_REFUSED,
  CloseCode.KICKED,
  CloseCode.SHARD_NOT_FOUND,
  CloseCode.SHARD_ENDED,
]);

/**
 * Connects to a shard, and reconnects after a connection loss.
 *
 * @throws TypeError for an invalid `baseUrl`; PylonClientError UNREACHABLE on a platform without a
 *   `WebSocket`
 *
 * @example
 * const game = connectShard<{ x: number }, { dx: number }>("arena", {
 *   subscriberId: "user_1",
 *   token: "pylon_...",
 *   baseUrl: "https://api.example.com",
 * });
 * game.onSnapshot(({ x }, tick) => console.log(tick, x));
 * game.send({ dx: 1 });
 */
export function connectShard<TSnapshot = unknown, TInput = unknown>(
  shardId: string,
  options: ConnectShardOptions,
): ShardClient<TSnapshot, TInput> {
  const connection = new ShardSocketClient(shardUrl(shardId, options), options);
  connection.open();
  return {
    onSnapshot: (listener) =>
      connection.views.on(({ view, tick, ack }) => listener(view as TSnapshot, tick, ack)),
    onError: (listener) => connection.errors.on(listener),
    onOpen: (listener) => connection.opened.on(listener),
    onClose: (listener) =>
      connection.closed.on(({ reason, willReturn }) => listener(reason, willReturn)),
    send: (input, seen) => connection.send(input, seen),
    close: () => connection.close(),
    get connected() {
      return connection.isOpen;
    },
  };
}

/** @throws PylonClientError UNREACHABLE if there is no class of sockets */
function socketOpener({ platform, WebSocket }: ConnectShardOptions): Platform["openSocket"] {
  if (WebSocket !== undefined) return (url, protocols) => openSocketOf(WebSocket, url, protocols);
  if (platform !== undefined) return platform.openSocket;
  if (typeof globalThis.WebSocket === "function") return systemPlatform.openSocket;
  throw new PylonClientError(0, {
    code: "UNREACHABLE",
    message: "This platform has no WebSocket, which shards need.",
    hint: "Pass one: connectShard(id, { WebSocket }). Node has its own since version 22.",
  });
}

/** A client of a shard, over successive sockets. */
class ShardSocketClient {
  readonly views = new Emitter<{ view: unknown; tick: number; ack: number | null }>();
  readonly errors = new Emitter<Error>();
  readonly opened = new Emitter<void>();
  readonly closed = new Emitter<{ reason: string; willReturn: boolean }>();
  readonly #url: string;
  readonly #options: ConnectShardOptions;
  readonly #platform: Pick<Platform, "openSocket" | "after" | "random">;
  readonly #openSocket: Platform["openSocket"];
  #socket: Socket | null = null;
  #cancelRetry: () => void = () => undefined;
  #attempts = 0;
  #clientSeq = 0;
  /** The inputs that were sent over the socket and are neither confirmed nor rejected. */
  readonly #unconfirmed = new Set<number>();
  #isWanted = true;
  #view: unknown = null;
  /** The tick of the last view; null before the first of a connection. */
  #viewTick: number | null = null;
  /** Decodes deltas that keep the shape of the view; recreated after any other step. */
  #slots: SlotReader | null = null;
  #ack: number | null = null;
  /** The server's token for reconnecting after joining with a join token. */
  #reconnectToken: string | null = null;
  isOpen = false;

  constructor(url: string, options: ConnectShardOptions) {
    this.#url = url;
    this.#options = options;
    this.#platform = options.platform ?? systemPlatform;
    this.#openSocket = socketOpener(options);
  }

  open(): void {
    const { token, joinToken } = this.#options;
    if (this.#reconnectToken !== null) this.#connect([joinProtocol(this.#reconnectToken)]);
    else if (typeof joinToken === "function") void this.#askToken(joinToken);
    else if (joinToken !== undefined) this.#connect([joinProtocol(joinToken)]);
    else this.#connect(token === undefined ? [] : [bearerProtocol(token)]);
  }

  async #askToken(ask: () => Promise<string>): Promise<void> {
    try {
      const token = await ask();
      if (this.#isWanted) this.#connect([joinProtocol(token)]);
    } catch (error) {
      this.errors.emit(
        PylonClientError.ofClient("UNREACHABLE", "There is no join token now.", error),
      );
      this.#ended(CloseCode.TRY_AGAIN_LATER, "no join token");
    }
  }

  #connect(credentials: readonly string[]): void {
    let socket: Socket;
    try {
      socket = this.#openSocket(this.#url, [SHARD_PROTOCOL, ...credentials]);
    } catch (error) {
      // Later: the caller of `connectShard` adds its listeners after the first attempt.
      this.#cancelRetry = this.#platform.after(0, () => this.#notOpened(error));
      return;
    }
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#viewTick = null;
    socket.onopen = () => {
      this.isOpen = true;
      this.#attempts = 0;
      this.opened.emit();
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason }) => this.#ended(code, reason);
    // The following close event has more information.
    socket.onerror = () => undefined;
  }

  /** The platform refused to open a socket: for example, a content security policy forbids it. */
  #notOpened(cause: unknown): void {
    const message = "The socket of the shard could not be opened.";
    this.errors.emit(PylonClientError.ofClient("UNREACHABLE", message, cause));
    this.#ended(CloseCode.TRY_AGAIN_LATER, "no socket");
  }

  send(input: unknown, seen?: number): number {
    this.#clientSeq += 1;
    if (this.isOpen && this.#socket !== null) {
      this.#unconfirmed.add(this.#clientSeq);
      this.#unconfirmed.delete(this.#clientSeq - MAX_UNCONFIRMED);
      this.#socket.send(JSON.stringify({ input, client_seq: this.#clientSeq, seen }));
    } else
      this.errors.emit(
        PylonClientError.ofClient(
          "UNREACHABLE",
          "The input was dropped: the shard is not connected.",
        ),
      );
    return this.#clientSeq;
  }

  close(): void {
    this.#isWanted = false;
    this.#cancelRetry();
    if (this.#socket === null) return;
    this.#drop();
    this.closed.emit({ reason: "closed", willReturn: false });
  }

  /** Closes the socket without handling its close event. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.isOpen = false;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  #received(data: unknown): void {
    try {
      if (typeof data === "string") this.#take(v.parse(ShardFrameSchema, JSON.parse(data)));
      else if (data instanceof ArrayBuffer) this.#takeBytes(data);
    } catch (error) {
      // Later frames would depend on it: a new connection starts with a full view.
      this.errors.emit(
        PylonClientError.ofClient(
          "UNEXPECTED_ANSWER",
          "The shard sent a frame that can't be read.",
          error,
        ),
      );
      this.#drop();
      this.#ended(CloseCode.TRY_AGAIN_LATER, "unexpected frame");
    }
  }

  #take(frame: v.InferOutput<typeof ShardFrameSchema>): void {
    if ("refused" in frame) {
      const { refused, code, message } = frame;
      if (refused !== null) this.#unconfirmed.delete(refused);
      this.errors.emit(new PylonClientError(0, { code, message, client_seq: refused }));
      return;
    }
    if ("reconnect" in frame) {
      this.#reconnectToken = frame.reconnect;
      return;
    }
    if (frame.ack !== undefined) this.#acknowledged(frame.ack);
    if ("delta" in frame) {
      if (frame.base !== this.#viewTick) throw new Error("A delta without its base.");
      this.#show(applyShardDelta(this.#view, frame.delta), frame.tick);
    } else if ("snapshot" in frame) this.#show(frame.snapshot, frame.tick);
    else if (this.#viewTick !== null)
      this.views.emit({ view: this.#view, tick: frame.tick, ack: this.#ack });
  }

  #acknowledged(ack: number): void {
    this.#ack = ack;
    for (const seq of this.#unconfirmed) if (seq <= ack) this.#unconfirmed.delete(seq);
  }

  /** Reports the inputs that were under way when the connection was lost. */
  #reportUnconfirmed(): void {
    const seqs = [...this.#unconfirmed];
    this.#unconfirmed.clear();
    if (seqs.length === 0 || !this.#isWanted) return;
    this.errors.emit(
      new PylonClientError(0, {
        code: "UNREACHABLE",
        message: "The connection was lost before the shard had confirmed the last inputs.",
        hint: "They may have been applied: send those again that the next view does not contain.",
        client_seqs: seqs,
      }),
    );
  }

  #takeBytes(bytes: ArrayBuffer): void {
    if (!isSlotFrame(bytes)) {
      const { tick, snapshot } = parseShardBytes(bytes);
      this.#show(snapshot, tick);
      return;
    }
    const slots = (this.#slots ??= new SlotReader(this.#view));
    const { tick, base, ack, delta } = slots.read(bytes);
    if (base !== this.#viewTick) throw new Error("A step without its base.");
    if (ack !== null) this.#acknowledged(ack);
    this.#show(applyShardDelta(this.#view, delta), tick);
    this.#slots = slots;
  }

  #show(view: unknown, tick: number): void {
    this.#slots = null;
    this.#view = view;
    this.#viewTick = tick;
    this.views.emit({ view, tick, ack: this.#ack });
  }

  #ended(code: number, reason: string): void {
    this.#socket = null;
    this.isOpen = false;
    this.#reportUnconfirmed();
    const { autoReconnect = true, reconnectBackoffMs = DEFAULT_BACKOFF_MS } = this.#options;
    // Disconnected for too long: reconnects as at first.
    const isOver = code === CloseCode.JOIN_TOKEN_REFUSED && this.#reconnectToken !== null;
    if (isOver) this.#reconnectToken = null;
    const willReturn = this.#isWanted && autoReconnect && (isOver || !FINAL.has(code));
    const why = reason === "" ? `the connection was lost (${code})` : reason;
    if (!willReturn && this.#isWanted)
      this.errors.emit(new PylonClientError(0, { code: `CLOSED_${code}`, message: why }));
    this.closed.emit({ reason: why, willReturn });
    if (!willReturn || !this.#isWanted) return;
    const span = Math.min(MAX_BACKOFF_MS, reconnectBackoffMs * 2 ** this.#attempts);
    this.#attempts += 1;
    // Jitter, so that many clients do not reconnect at the same time.
    const waitMs = span * (0.5 + this.#platform.random() / 2);
    this.#cancelRetry = this.#platform.after(waitMs, () => this.open());
  }
}
