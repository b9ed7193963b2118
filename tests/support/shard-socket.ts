import {
  applyShardDelta,
  bearerProtocol,
  isSlotFrame,
  joinProtocol,
  parseShardBytes,
  SHARD_PROTOCOL,
  SlotReader,
  type ShardDelta,
} from "@pylonsync/protocol";
import { connect, type Socket } from "node:net";
import { until, type TestClient } from "./client.ts";

/** A frame of a shard, of any kind. */
export interface Frame {
  readonly tick?: number;
  readonly ack?: number;
  readonly base?: number;
  readonly snapshot?: unknown;
  readonly delta?: unknown;
  readonly refused?: number | null;
  readonly code?: string;
  readonly message?: string;
  readonly reconnect?: string;
}

/** A client of a shard that records everything it receives. */
export class ShardSocket {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  /** Frames as older clients receive them. */
  readonly views: { readonly tick: number; readonly snapshot: unknown }[] = [];
  closed: { readonly code: number; readonly reason: string } | null = null;
  isOpen = false;
  /** The newest view. */
  view: unknown;
  #viewTick: number | undefined;
  #slots: SlotReader | null = null;

  /** @param url the URL of the server, or of its port for shards */
  constructor(
    url: string,
    {
      token,
      ...options
    }: {
      readonly shard?: string;
      readonly sid?: string;
      readonly token: string | null;
      readonly joinToken?: string;
      readonly role?: string;
      readonly rate?: string;
      readonly isOld?: boolean;
      readonly path?: string;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ) {
    const { shard, sid, role, rate, joinToken } = options;
    const { isOld = false, path = "/shards", headers = {} } = options;
    const target = new URL(url.replace("http", "ws") + path);
    if (shard !== undefined) target.searchParams.set("shard", shard);
    if (sid !== undefined) target.searchParams.set("sid", sid);
    if (role !== undefined) target.searchParams.set("role", role);
    if (rate !== undefined) target.searchParams.set("rate", rate);
    const protocols = [
      ...(isOld ? [] : [SHARD_PROTOCOL]),
      ...(token === null ? [] : [bearerProtocol(token)]),
      ...(joinToken === undefined ? [] : [joinProtocol(joinToken)]),
    ];
    // Bun accepts headers here, which the DOM's type does not know.
    const init = { protocols, headers } as unknown as string[];
    this.socket = new WebSocket(target, init);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.isOpen = true;
    };
    this.socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.#take(JSON.parse(data) as Frame);
      else if (isSlotFrame(data as ArrayBuffer)) this.#takeSlots(data as ArrayBuffer);
      else this.views.push(parseShardBytes(data as ArrayBuffer));
    };
    this.socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  #takeSlots(bytes: ArrayBuffer): void {
    const slots = (this.#slots ??= new SlotReader(this.view));
    const { ack, ...frame } = slots.read(bytes);
    this.#take({ ...frame, ...(ack === null ? {} : { ack }) });
    this.#slots = slots;
  }

  #take(frame: Frame): void {
    if ("delta" in frame && frame.base !== this.#viewTick)
      throw new Error(`A delta of ${frame.base}, and the view is of ${this.#viewTick}.`);
    if ("snapshot" in frame) this.view = frame.snapshot;
    else if ("delta" in frame) this.view = applyShardDelta(this.view, frame.delta as ShardDelta);
    if ("snapshot" in frame || "delta" in frame) {
      this.#viewTick = frame.tick;
      this.#slots = null;
    }
    this.frames.push(frame);
  }

  /** Waits for its first view. */
  async joined(): Promise<this> {
    const hasView = (): boolean => this.frames.some((frame) => "snapshot" in frame);
    await until(() => hasView() || this.views.length > 0 || this.closed !== null);
    if (this.closed !== null) throw new Error(`closed: ${JSON.stringify(this.closed)}`);
    return this;
  }

  async ended(): Promise<{ readonly code: number; readonly reason: string } | null> {
    await until(() => this.closed !== null);
    return this.closed;
  }

  send(input: unknown, clientSeq?: number): void {
    this.socket.send(
      JSON.stringify({ input, ...(clientSeq === undefined ? {} : { client_seq: clientSeq }) }),
    );
  }

  /** Waits for a frame. */
  async heard(isIt: (frame: Frame) => boolean): Promise<Frame> {
    await until(() => this.frames.some(isIt));
    return this.frames.find(isIt) ?? {};
  }

  close(): void {
    this.socket.close();
  }
}

/** Joins a shard by a socket that is never read again. */
export function joinWithoutReading(client: TestClient, shardId: string): Socket {
  const { hostname, port } = new URL(client.url);
  const socket = connect(Number(port), hostname);
  socket.write(
    `GET /shards?shard=${shardId}&sid=${client.userId} HTTP/1.1\r\nHost: localhost\r\n` +
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
      `Sec-WebSocket-Protocol: ${SHARD_PROTOCOL}, ${bearerProtocol(client.token ?? "")}\r\n` +
      `Sec-WebSocket-Key: ${Buffer.alloc(16, 7).toString("base64")}\r\n\r\n`,
  );
  socket.once("data", () => socket.pause());
  socket.on("error", () => undefined);
  return socket;
}
