/**
 * Connect to shards, the simulations that a server runs. Apart from the engine, so that a page pays
 * only for what it uses.
 *
 * @module
 */
import {
  applyShardDelta,
  bearerProtocol,
  CloseCode,
  isSlotFrame,
  parseShardBytes,
  SHARD_PROTOCOL,
  ShardFrameSchema,
  SlotReader,
} from "@pylonsync/protocol";
import * as v from "valibot";
import { PylonClientError } from "../connection/errors.ts";
import { Emitter } from "../platform/emitter.ts";
import { systemPlatform, type Platform, type Socket } from "../platform/platform.ts";
import { shardUrl, type ShardAddress } from "./shard-url.ts";

export type { ShardAddress } from "./shard-url.ts";

/** How a client connects to a shard. */
export interface ConnectShardOptions extends ShardAddress {
  /** Of the signed-in user. */
  readonly token?: string | undefined;
  /** Whether it comes back by itself after a loss of the connection. Default true. */
  readonly autoReconnect?: boolean | undefined;
  /** The first pause before it comes back, in milliseconds, doubled up to 10 s. Default 500. */
  readonly reconnectBackoffMs?: number | undefined;
  /** @deprecated Has no effect: a server that has shards takes WebSockets for them. */
  readonly sseFallback?: boolean | undefined;
  /** The machine, for tests; default the one that this runs on. */
  readonly platform?: Pick<Platform, "openSocket" | "after" | "random"> | undefined;
}

/** What a client of a shard hears and says. Each `on...` returns an unsubscribe function. */
export interface ShardClient<TSnapshot = unknown, TInput = unknown> {
  /**
   * Told of each view, whole, whether the server sent all of it or what changed.
   *
   * @param ack the number of the newest input that the view has in it; null before the first
   */
  onSnapshot(listener: (snapshot: TSnapshot, tick: number, ack: number | null) => void): () => void;
  /** Told of inputs that were not sent or not taken, and of connections that failed. */
  onError(listener: (error: Error) => void): () => void;
  onOpen(listener: () => void): () => void;
  /** Told when the connection ended. @param willReturn whether it comes back by itself */
  onClose(listener: (reason: string, willReturn: boolean) => void): () => void;
  /** Sends an input. One that can't be sent is dropped. @returns its number, from 1 */
  send(input: TInput): number;
  close(): void;
  readonly connected: boolean;
}

const DEFAULT_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 10_000;
/** Who comes back after these is answered the same again. */
const FINAL: ReadonlySet<number> = new Set([
  CloseCode.UNAUTHORIZED,
  CloseCode.SESSION_ENDED,
  CloseCode.KICKED,
  CloseCode.SHARD_NOT_FOUND,
  CloseCode.SHARD_ENDED,
]);

/**
 * Connects to a shard, and comes back after a loss of the connection.
 *
 * @throws TypeError for a `baseUrl` that can not be read
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
    send: (input) => connection.send(input),
    close: () => connection.close(),
    get connected() {
      return connection.isOpen;
    },
  };
}

/** One client's way to a shard, over one socket after another. */
class ShardSocketClient {
  readonly views = new Emitter<{ view: unknown; tick: number; ack: number | null }>();
  readonly errors = new Emitter<Error>();
  readonly opened = new Emitter<void>();
  readonly closed = new Emitter<{ reason: string; willReturn: boolean }>();
  readonly #url: string;
  readonly #options: ConnectShardOptions;
  readonly #platform: Pick<Platform, "openSocket" | "after" | "random">;
  #socket: Socket | null = null;
  #cancelRetry: () => void = () => undefined;
  #attempts = 0;
  #clientSeq = 0;
  #isWanted = true;
  #view: unknown = null;
  /** The tick of the frame that the view came with; null before the first of a connection. */
  #viewTick: number | null = null;
  /** Reads steps that leave the shape of the view as it is; made anew after any other step. */
  #slots: SlotReader | null = null;
  #ack: number | null = null;
  isOpen = false;

  constructor(url: string, options: ConnectShardOptions) {
    this.#url = url;
    this.#options = options;
    this.#platform = options.platform ?? systemPlatform;
  }

  open(): void {
    const { token } = this.#options;
    const protocols = [SHARD_PROTOCOL, ...(token === undefined ? [] : [bearerProtocol(token)])];
    const socket = this.#platform.openSocket(this.#url, protocols);
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
    // The close event that follows says more.
    socket.onerror = () => undefined;
  }

  send(input: unknown): number {
    this.#clientSeq += 1;
    if (this.isOpen && this.#socket !== null)
      this.#socket.send(JSON.stringify({ input, client_seq: this.#clientSeq }));
    else
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

  /** Ends the socket without hearing of its end. */
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
      // What follows would build on it: a new connection begins with a whole view.
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
      this.errors.emit(new PylonClientError(0, { code, message, client_seq: refused }));
      return;
    }
    if (frame.ack !== undefined) this.#ack = frame.ack;
    if ("delta" in frame) {
      if (frame.base !== this.#viewTick) throw new Error("A delta without its base.");
      this.#show(applyShardDelta(this.#view, frame.delta), frame.tick);
    } else if ("snapshot" in frame) this.#show(frame.snapshot, frame.tick);
    else if (this.#viewTick !== null)
      this.views.emit({ view: this.#view, tick: frame.tick, ack: this.#ack });
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
    if (ack !== null) this.#ack = ack;
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
    const { autoReconnect = true, reconnectBackoffMs = DEFAULT_BACKOFF_MS } = this.#options;
    const willReturn = this.#isWanted && autoReconnect && !FINAL.has(code);
    const why = reason === "" ? `the connection was lost (${code})` : reason;
    if (!willReturn && this.#isWanted)
      this.errors.emit(new PylonClientError(0, { code: `CLOSED_${code}`, message: why }));
    this.closed.emit({ reason: why, willReturn });
    if (!willReturn || !this.#isWanted) return;
    const span = Math.min(MAX_BACKOFF_MS, reconnectBackoffMs * 2 ** this.#attempts);
    this.#attempts += 1;
    // By chance within the span, so that many clients do not come back at once.
    const waitMs = span * (0.5 + this.#platform.random() / 2);
    this.#cancelRetry = this.#platform.after(waitMs, () => this.open());
  }
}
