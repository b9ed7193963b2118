import { join } from "node:path";
// The client loads these on demand, for which a virtual clock does not wait.
import "eventsource-parser";
import "../../packages/sync/src/connection/transport/poll.ts";
import "../../packages/sync/src/connection/transport/sse.ts";
import {
  createSyncEngine,
  createWriteThroughStorage,
  type Platform,
  type Socket,
  type SyncEngine,
  type SyncEngineConfig,
} from "@pylonsync/sync";
// Loaded by the engine when it reads its first stream, for which a virtual clock does not wait.
import "eventsource-parser";

/**
 * An engine loads parts of its code on demand. That takes real time, for which tests with their own
 * clock do not wait: here all of it is loaded before.
 */
const SOURCES = join(import.meta.dir, "../../packages/sync/src");
for (const file of new Bun.Glob("**/*.ts").scanSync(SOURCES))
  if (!file.endsWith(".test.ts")) await import(join(SOURCES, file));

/**
 * The number of turns of the event loop in which all work that waits for no timer and no network is
 * done.
 */
const TURNS = 12;

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** A row's change in the log of the virtual server. */
interface Logged {
  readonly seq: number;
  readonly entity: string;
  readonly row_id: string;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>> | undefined;
  readonly timestamp: string;
}

/** One push as the virtual server received it. */
export interface Push {
  readonly at: number;
  readonly bytes: number;
  readonly rows: readonly string[];
}

export type Interceptor = (path: string, body: string) => Response | Promise<Response> | undefined;

export const SERVER = "http://server";
export const TOKEN = "token-of-ann";

/**
 * A client's machine whose time advances when the test says so, with a network and a small server,
 * so that minutes of a client's life take milliseconds.
 */
export class VirtualMachine {
  now = Date.parse("2026-03-01T12:00:00Z");
  #network: "up" | "down" | "swallows" = "up";
  /** How often the network began to swallow messages. */
  #losses = 0;
  /** Whether the machine has WebSockets, and whether they get through; "silent": they only open. */
  sockets: "work" | "blocked" | "silent" | "missing" = "work";
  /** Whether the network passes on event streams immediately, or buffers them. */
  streams: "work" | "gathered" = "work";
  /** Responds in place of the server. */
  intercept: Interceptor = () => undefined;
  /** The server's log. */
  readonly log: Logged[] = [];
  readonly pushes: Push[] = [];
  readonly requests: { readonly path: string; readonly at: number }[] = [];
  isTokenKnown = true;
  readonly #known = new Set<string>();
  readonly storage = createWriteThroughStorage({ pylon_token: TOKEN }, () => undefined);
  #timers: Timer[] = [];
  #onOnline: () => void = () => undefined;
  #onShown: () => void = () => undefined;
  /** Handles the messages of a client. @param send sends bytes to it */
  onMessage: (
    text: string,
    send: (bytes: Uint8Array) => void,
    sendText: (text: string) => void,
  ) => void = () => undefined;
  readonly #live = new Set<(text: string) => void>();
  readonly #cuts = new Set<(code: number) => void>();

  readonly platform: Partial<Platform> = {
    now: () => this.now,
    // The longest possible delay.
    random: () => 0.999,
    after: (delayMs, run) => this.#after(delayMs, run),
    fetch: (url, init) => this.#fetch(url, init),
    openSocket: (url) => this.#openSocket(url),
    onOnline: (run) => {
      this.#onOnline = run;
      return () => undefined;
    },
    onShown: (run) => {
      this.#onShown = run;
      return () => undefined;
    },
    onOffline: () => () => undefined,
    openDisk: null,
  };

  get network(): "up" | "down" | "swallows" {
    return this.#network;
  }
  /**
   * `swallows`: nothing that is sent arrives, and no connection of that time ever receives anything
   * again.
   */
  set network(network: "up" | "down" | "swallows") {
    this.#network = network;
    if (network === "swallows") this.#losses += 1;
  }

  /** A client of the server, signed in as ann. */
  engine(options: Partial<SyncEngineConfig> = {}): SyncEngine {
    return createSyncEngine(SERVER, {
      storage: this.storage,
      platform: this.platform,
      ...options,
    });
  }

  /** The browser reports that the machine is online again. */
  goOnline(): void {
    this.#onOnline();
  }

  /** The page becomes visible again. */
  show(): void {
    this.#onShown();
  }

  /** Advances the time, and runs everything that happens in it. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await settle();
    for (;;) {
      const next = this.#timers.toSorted((one, other) => one.at - other.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
      await settle();
    }
    this.now = end;
  }

  /** @returns the milliseconds until it was true @throws Error if it is not true in time */
  async until(condition: () => boolean, withinMs: number): Promise<number> {
    const start = this.now;
    await settle();
    while (!condition()) {
      if (this.now - start >= withinMs) throw new Error(`It is not so after ${withinMs} ms.`);
      await this.advance(50);
    }
    return this.now - start;
  }

  /** Inserts another client's row, which is sent to the connected clients. */
  insert(id: string): void {
    this.#write({ entity: "Note", row_id: id, kind: "insert", data: {} });
  }

  /**
   * Ends every live connection. @param code the close code of sockets; by default that of a lost
   * network
   */
  cut(code = 1006): void {
    for (const cut of [...this.#cuts]) cut(code);
  }

  /** Tells every live connection to start again. */
  resync(): void {
    for (const send of [...this.#live]) send('{"type":"resync","reason":"test"}');
  }

  /** The ids of all rows that were ever written. */
  rows(): string[] {
    return [...this.#known];
  }

  #write(change: Omit<Logged, "seq" | "timestamp">): void {
    const logged = { ...change, seq: this.log.length + 1, timestamp: "" };
    this.log.push(logged);
    this.#known.add(logged.row_id);
    for (const send of [...this.#live]) send(JSON.stringify(logged));
  }

  #after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.now + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const path = url.replace(/^https?:\/\/[^/]+/, "");
    this.requests.push({ path, at: this.now });
    if (this.network === "down") throw new TypeError("no network");
    // Not even the signal ends it.
    if (this.network === "swallows") return new Promise(() => undefined);
    const body = typeof init.body === "string" ? init.body : "";
    if (path.endsWith("/push")) this.#notePush(body);
    return (await this.intercept(path, body)) ?? this.#answer(path, body, init);
  }

  #notePush(body: string): void {
    const { changes } = JSON.parse(body) as { readonly changes: readonly Logged[] };
    this.pushes.push({
      at: this.now,
      bytes: Buffer.byteLength(body),
      rows: changes.map(({ row_id: id }) => id),
    });
  }

  #answer(path: string, body: string, init: RequestInit): Response {
    const { Authorization: token } = init.headers as Readonly<Record<string, string>>;
    const isDead = token !== undefined && !(this.isTokenKnown && token === `Bearer ${TOKEN}`);
    if (path === "/api/auth/me")
      return Response.json({
        user_id: token === undefined || isDead ? null : "ann",
        is_admin: false,
        roles: [],
        ...(isDead ? { token_valid: false } : {}),
      });
    if (isDead) return refusal(401, "UNAUTHORIZED");
    if (path.startsWith("/api/sync/pull"))
      return this.#pull(new URLSearchParams(path.split("?")[1]));
    if (path === "/api/sync/push") return this.#push(body);
    if (path.startsWith("/events")) return this.#stream(path);
    return refusal(404, "NOT_FOUND");
  }

  #pull(query: URLSearchParams): Response {
    const since = Number(query.get("since"));
    return Response.json({
      changes: this.log.filter(({ seq }) => seq > since),
      cursor: { last_seq: this.log.length },
      has_more: false,
      epoch: "e",
    });
  }

  #push(body: string): Response {
    const { changes } = JSON.parse(body) as {
      readonly changes: readonly (Logged & { readonly op_id: string })[];
    };
    const results = changes.map(({ op_id: id, data, ...change }) => {
      if (data?.["refused"] === true)
        return { op_id: id, status: "refused", error: { code: "POLICY_DENIED", message: "No." } };
      if (this.#known.has(change.row_id)) return { op_id: id, status: "deduped" };
      this.#write({ ...change, data });
      return { op_id: id, status: "applied" };
    });
    const cursor = { last_seq: this.log.length };
    return Response.json({ applied: results.length, deduped: 0, errors: [], cursor, results });
  }

  /** @returns whether the two ends can still communicate */
  #connection(): () => boolean {
    const losses = this.#losses;
    const isOpened = this.network === "up";
    return () => isOpened && losses === this.#losses;
  }

  /** Sends the changes since the cursor in the URL, and a hello. */
  #catchUp(url: string, send: (text: string) => void): void {
    const since = Number(new URL(url, SERVER).searchParams.get("since"));
    for (const logged of this.log.slice(since)) send(JSON.stringify(logged));
    send(JSON.stringify({ type: "hello", seq: this.log.length, epoch: "e" }));
  }

  #stream(path: string): Response {
    const isAlive = this.#connection();
    const encoder = new TextEncoder();
    let end: () => void = () => undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const write = (text: string): void => {
          if (isAlive() && this.streams === "work") controller.enqueue(encoder.encode(text));
        };
        const send = (text: string): void => write(`data: ${text}\n\n`);
        const beat = (): void => {
          cancel = this.#after(10_000, beat);
          write(": keepalive\n\n");
        };
        let cancel = this.#after(10_000, beat);
        end = () => {
          cancel();
          this.#live.delete(send);
          this.#cuts.delete(cut);
        };
        const cut = (): void => {
          end();
          controller.close();
        };
        write(": connected\n\n: keepalive every 10 s\n\n");
        this.#catchUp(path, send);
        this.#live.add(send);
        this.#cuts.add(cut);
      },
      cancel: () => end(),
    });
    return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
  }

  /** Runs work at a later time of the virtual clock. */
  later(ms: number, work: () => void): void {
    this.#after(ms, work);
  }

  #openSocket(url: string): Socket {
    if (this.sockets === "missing") throw new ReferenceError("WebSocket is not defined");
    const isSilent = this.sockets === "silent";
    const isReached = this.#connection();
    const isAlive = (): boolean => !isSilent && isReached();
    const send = (text: string): void => {
      if (isAlive()) socket.onmessage?.({ data: text });
    };
    const sendBytes = (bytes: Uint8Array): void => {
      if (isAlive()) socket.onmessage?.({ data: bytes.slice().buffer });
    };
    const cut = (code: number): void => {
      const { onclose } = socket;
      socket.close();
      onclose?.({ code, reason: "" });
    };
    const socket: Socket = {
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      send: (text) => {
        if (text.includes('"ping"')) this.#after(1, () => send('{"type":"pong"}'));
        else if (isAlive()) this.#after(1, () => this.onMessage(text, sendBytes, send));
      },
      close: () => {
        this.#live.delete(send);
        this.#cuts.delete(cut);
      },
    };
    this.#after(1, () => {
      if (this.network === "down" || this.sockets === "blocked") return cut(1006);
      if (isSilent) return socket.onopen?.();
      if (!isAlive()) return undefined;
      this.#live.add(send);
      this.#cuts.add(cut);
      socket.onopen?.();
      return this.#catchUp(url, send);
    });
    return socket;
  }
}

/** An error in Pylon's format. */
export function refusal(status: number, code: string, more: object = {}): Response {
  return Response.json({ error: { code, message: `${code}.`, ...more } }, { status });
}

/** A page of a proxy or a captive portal. */
export function page(status: number, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response("<!doctype html><title>Sign in to the Wi-Fi</title>", {
    status,
    headers: { "Content-Type": "text/html", ...headers },
  });
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1)
    await new Promise<void>((resolve) => setImmediate(resolve));
}
