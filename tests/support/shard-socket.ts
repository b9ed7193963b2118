import { bearerProtocol, parseShardBytes, SHARD_PROTOCOL } from "@pylonsync/protocol";
import { until } from "./client.ts";

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
}

/** A client of a shard that keeps all it hears, and applies nothing. */
export class ShardSocket {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  /** Frames as older clients get them. */
  readonly views: { readonly tick: number; readonly snapshot: unknown }[] = [];
  closed: { readonly code: number; readonly reason: string } | null = null;
  isOpen = false;

  /** @param url of the server, or of its port for shards */
  constructor(
    url: string,
    {
      token,
      ...options
    }: {
      readonly shard?: string;
      readonly sid?: string;
      readonly token: string | null;
      readonly isOld?: boolean;
      readonly path?: string;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ) {
    const { shard, sid, isOld = false, path = "/shards", headers = {} } = options;
    const target = new URL(url.replace("http", "ws") + path);
    if (shard !== undefined) target.searchParams.set("shard", shard);
    if (sid !== undefined) target.searchParams.set("sid", sid);
    const protocols = [
      ...(isOld ? [] : [SHARD_PROTOCOL]),
      ...(token === null ? [] : [bearerProtocol(token)]),
    ];
    // Bun takes headers here, which the DOM's type does not know.
    const init = { protocols, headers } as unknown as string[];
    this.socket = new WebSocket(target, init);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.isOpen = true;
    };
    this.socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.frames.push(JSON.parse(data) as Frame);
      else this.views.push(parseShardBytes(data as ArrayBuffer));
    };
    this.socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  /** What it sees first. */
  async joined(): Promise<this> {
    await until(() => this.frames.length + this.views.length > 0 || this.closed !== null);
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
