import { Messages } from "./messages.ts";
import { readEvents } from "./read-events.ts";
import { expectShape, isFields, text, type Fields, type Shape } from "./shape.ts";

/** A response that has been read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined if the text is not JSON. */
  readonly body: unknown;
}

export interface Socket {
  readonly messages: Messages;
  /** The subprotocol that the server chose. */
  readonly protocol: string;
  readonly send: (message: Fields) => void;
  readonly close: () => void;
}

export interface Stream {
  readonly messages: Messages;
  readonly contentType: string;
  readonly close: () => void;
}

type Body = string | Blob | FormData | Fields | readonly unknown[];

const MAX_TRIES = 3;
/** The timeout of a response and of opening a socket, in milliseconds. */
const TIMEOUT_MS = 30_000;
/** The longest wait for a rate limit, in seconds. */
const MAX_RETRY_AFTER = 120;

/** A client of the server that uses only the wire protocol. */
export class Caller {
  readonly url: string;
  readonly token: string | null;
  readonly userId: string;

  constructor(url: string, token: string | null, userId = "") {
    this.url = url;
    this.token = token;
    this.userId = userId;
  }

  async request(
    method: string,
    path: string,
    body?: Body,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      const response = await fetch(this.url + path, {
        method,
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: { ...this.#authorization(), ...headers },
        ...(body === undefined ? {} : { body: isRaw(body) ? body : JSON.stringify(body) }),
      });
      const answered = await response.text();
      const seconds = Number(response.headers.get("Retry-After") ?? "0");
      const mayTryAgain = tries < MAX_TRIES && seconds > 0 && seconds <= MAX_RETRY_AFTER;
      if (response.status !== 429 || !mayTryAgain)
        return {
          status: response.status,
          headers: response.headers,
          text: answered,
          body: parsed(answered),
        };
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }

  /**
   * Sends a request that must be answered with this status and shape.
   * @returns the body
   * @throws Mismatch
   */
  async expect(
    [method, path, body, headers]: Parameters<Caller["request"]>,
    status: number,
    shape: Shape = {},
  ): Promise<Fields> {
    const answer = await this.request(method, path, body, headers);
    expectShape(
      { status: answer.status, body: answer.body ?? answer.text },
      { status, body: shape },
    );
    return isFields(answer.body) ? answer.body : {};
  }

  /** Sends a request that must be rejected in the common form of errors. */
  async refused(
    request: Parameters<Caller["request"]>,
    status: number,
    error: { readonly [key: string]: Shape },
  ): Promise<void> {
    await this.expect(request, status, { error: { message: text, ...error } });
  }

  /** @returns the id of a new row of the caller */
  async insert(entity: string, row: Fields): Promise<string> {
    const { id } = await this.expect(["POST", `/api/entities/${entity}`, row], 201, { id: text });
    return String(id);
  }

  /** Opens a socket of version 1, or with these subprotocols. @throws Mismatch */
  socket(query = "", protocols: readonly string[] = []): Promise<Socket> {
    const bearer = this.token === null ? [] : [`bearer.${encodeURIComponent(this.token)}`];
    const socket = new WebSocket(`${this.url.replace(/^http/, "ws")}/ws${query}`, [
      ...protocols,
      ...bearer,
    ]);
    const messages = new Messages();
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) messages.add({ bytes: Buffer.from(data).toString("hex") });
      else messages.addJson(String(data));
    });
    socket.addEventListener("close", ({ code, reason }) => messages.end(`${code} ${reason}`));
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(new Error("The socket does not open."));
      const timer = setTimeout(fail, TIMEOUT_MS);
      socket.addEventListener("error", fail);
      socket.addEventListener("open", () => {
        clearTimeout(timer);
        resolve({
          messages,
          protocol: socket.protocol,
          send: (message) => socket.send(JSON.stringify(message)),
          close: () => socket.close(),
        });
      });
    });
  }

  /** Opens an event stream. */
  async stream(
    path: string,
    init: { readonly method?: string; readonly body?: string } = {},
  ): Promise<Stream> {
    const abort = new AbortController();
    const response = await fetch(this.url + path, {
      ...init,
      signal: abort.signal,
      headers: { ...this.#authorization(), Accept: "text/event-stream" },
    });
    const messages = new Messages();
    void readEvents(response, messages).catch((error: unknown) => messages.end(String(error)));
    const contentType = response.headers.get("Content-Type") ?? "";
    return { messages, contentType, close: () => abort.abort() };
  }

  #authorization(): Readonly<Record<string, string>> {
    return this.token === null ? {} : { Authorization: `Bearer ${this.token}` };
  }
}

function isRaw(body: Body): body is string | Blob | FormData {
  return typeof body === "string" || body instanceof Blob || body instanceof FormData;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
