import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface StrictAnswer {
  readonly status: number;
  readonly text: string;
}

/** A request was sent, and the connection ended before the complete response was received. */
export class CutError extends Error {
  override readonly name = "CutError";
}

/** No connection could be opened: nothing was sent. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

const HEAD_END = "\r\n\r\n";

/**
 * A caller that keeps its connection for the next request, as proxies and pools do, and never sends
 * one twice: failures that other clients hide with retries are errors here.
 */
export class StrictClient {
  readonly #host: string;
  readonly #port: number;
  readonly #ca: string | undefined;
  readonly #token: string;
  #socket: Socket | null = null;

  /** @param ca the authority for verifying https servers */
  constructor(url: string, token: string, ca?: string) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
    this.#ca = url.startsWith("https:") ? ca : undefined;
    this.#token = token;
  }

  /** @throws CutError, RefusedError */
  async request(
    method: string,
    path: string,
    body: string | Uint8Array = "",
    headers: Readonly<Record<string, string>> = {},
  ): Promise<StrictAnswer> {
    const content = Buffer.from(body);
    const all = {
      Host: `${this.#host}:${this.#port}`,
      Authorization: `Bearer ${this.#token}`,
      "Content-Length": String(content.length),
      ...headers,
    };
    const head = Object.entries(all)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
    const socket = (this.#socket ??= await this.#open());
    socket.write(
      Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`), content]),
    );
    return this.#answer(socket);
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  #open(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const place = { host: this.#host, port: this.#port };
      const socket: Socket =
        this.#ca === undefined
          ? connectPlain(place)
          : connectTls({ ...place, ca: this.#ca, servername: this.#host });
      socket.setNoDelay(true);
      socket.once("error", (error) => reject(new RefusedError(error.message)));
      socket.once(this.#ca === undefined ? "connect" : "secureConnect", () => {
        socket.removeAllListeners("error").on("error", () => undefined);
        // The other side may close an idle connection: the next request opens a new one.
        socket.once("close", () => this.#forget(socket));
        socket.once("end", () => this.#forget(socket));
        resolve(socket);
      });
    });
  }

  #forget(socket: Socket): void {
    if (this.#socket === socket) this.#socket = null;
    socket.destroy();
  }

  #answer(socket: Socket): Promise<StrictAnswer> {
    return new Promise((resolve, reject) => {
      let received = Buffer.alloc(0);
      const finish = (settle: () => void): void => {
        socket.off("data", onData).off("close", onClose);
        settle();
      };
      const onClose = (): void =>
        finish(() =>
          reject(
            new CutError(`The connection ended after ${received.length} bytes of the answer.`),
          ),
        );
      const onData = (chunk: Buffer): void => {
        received = Buffer.concat([received, chunk]);
        const end = received.indexOf(HEAD_END);
        if (end === -1) return;
        const head = received.subarray(0, end).toString();
        const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1]);
        const start = end + HEAD_END.length;
        if (!(received.length - start >= length)) return;
        if (/^connection: *close/im.test(head)) this.#forget(socket);
        finish(() =>
          resolve({ status: Number(head.slice(9, 12)), text: received.subarray(start).toString() }),
        );
      };
      socket.on("data", onData).on("close", onClose);
    });
  }
}
