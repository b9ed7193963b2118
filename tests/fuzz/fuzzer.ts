import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomOf } from "../support/random.ts";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { fuzzApp } from "./app.ts";
import { FRAMES, GROUPS, type Group, type Template } from "./groups.ts";
import {
  Chance,
  encodedBody,
  hostileHeaders,
  hostilePiece,
  hostileText,
  hostileValue,
  mutated,
} from "./hostile.ts";

/** The number of concurrent requests. */
const CONCURRENCY = 6;
/**
 * The time after which a response is considered missing, in milliseconds: a busy machine is slow.
 */
const HANG_MS = 30_000;
/** The maximum number of faults of a run. */
const MAX_FAULTS = 20;
/** On these paths, a server without shards responds 503 to every request. */
const WITHOUT_SHARDS = /^\/(api\/)?shards\b/;

/** A request without a correct response. */
export interface Fault {
  readonly request: string;
  readonly problem: string;
}

export interface FuzzResult {
  readonly requests: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly faults: readonly Fault[];
}

interface PreparedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Sends the requests of a group, valid and broken ones, to a separate server on loopback. The same
 * seed creates the same requests.
 *
 * @param seconds the duration
 */
export async function fuzz(group: Group, seconds: number, seed: number): Promise<FuzzResult> {
  const files = mkdtempSync(join(tmpdir(), "pylon-fuzz-"));
  const mail = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("{}") });
  const server = await startServer(fuzzApp, {
    PYLON_EMAIL_PROVIDER: "webhook",
    PYLON_EMAIL_HTTP_URL: mail.url.href,
    PYLON_EMAIL_FROM: "Fuzz <fuzz@example.com>",
    PYLON_PUBLIC_URL: "https://api.example.com",
    PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32),
    PYLON_JWT_SECRET: "j".repeat(32),
    PYLON_FILES_DIR: files,
  });
  try {
    return await new Fuzzer(server, group, seed).run(seconds);
  } finally {
    await server.stop();
    await mail.stop(true);
    rmSync(files, { recursive: true, force: true });
  }
}

class Fuzzer {
  readonly #server: TestServer;
  readonly #templates: readonly Template[];
  readonly #chance: Chance;
  readonly #statuses: Record<string, number> = {};
  readonly #faults: Fault[] = [];
  #tokens: readonly (string | null)[] = [];
  #known: Readonly<Record<string, string>> = {};
  #requests = 0;

  constructor(server: TestServer, group: Group, seed: number) {
    this.#server = server;
    this.#templates = GROUPS[group];
    this.#chance = new Chance(randomOf(seed));
  }

  async run(seconds: number): Promise<FuzzResult> {
    const end = performance.now() + seconds * 1000;
    await this.#prepare();
    const worker = async (): Promise<void> => {
      while (performance.now() < end && this.#faults.length < MAX_FAULTS) await this.#next();
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    const alive = await fetch(`${this.#server.url}/health`);
    if (!alive.ok) this.#fault("GET /health", `answered ${alive.status} afterwards`);
    return { requests: this.#requests, statuses: this.#statuses, faults: this.#faults };
  }

  /** Creates callers of each kind, and rows and other objects that requests can name. */
  async #prepare(): Promise<void> {
    const admin = new TestClient(this.#server.url, ADMIN_TOKEN);
    const guest = await TestClient.guest(this.#server.url);
    const item = await admin.request("POST", "/api/entities/Item", { n: 1 });
    const org = await guest.request("POST", "/api/auth/orgs", { name: "Org" });
    const file = await guest.request("POST", "/api/files/upload", "content");
    const user = await admin.request("POST", "/api/entities/User", {
      email: `u${this.#requests}@example.com`,
    });
    const userId = String(user.body["id"] ?? guest.userId);
    const session = await admin.request("POST", "/api/auth/session", { user_id: userId });
    this.#tokens = [null, guest.token, String(session.body["token"]), ADMIN_TOKEN, "junk"];
    this.#known = {
      id: String(item.body["id"] ?? "row-1"),
      org: String(org.body["id"] ?? "x"),
      file: String(file.body["id"] ?? "x"),
      user: userId,
    };
  }

  async #next(): Promise<void> {
    this.#requests += 1;
    // Some requests end sessions and delete the known objects.
    if (this.#requests % 60 === 0) await this.#prepare();
    const request = this.#make(this.#chance.pick(this.#templates));
    if (request.path.startsWith("/ws") && this.#chance.oneIn(2)) return this.#talk(request);
    return this.#chance.oneIn(10) ? this.#sendRaw(request) : this.#send(request);
  }

  #make(template: Template): PreparedRequest {
    const chance = this.#chance;
    const token = chance.pick(this.#tokens);
    const method = chance.oneIn(25)
      ? chance.pick(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
      : template.method;
    const hasBody = method !== "GET" && method !== "HEAD";
    return {
      method,
      path: this.#path(template.path),
      headers: {
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...(typeof template.body === "string" && template.body.startsWith("--x")
          ? { "Content-Type": "multipart/form-data; boundary=x" }
          : {}),
        ...(chance.oneIn(3) ? hostileHeaders(chance) : {}),
      },
      body: hasBody && template.body !== undefined ? this.#body(template.body) : undefined,
    };
  }

  #body(template: unknown): string | Uint8Array<ArrayBuffer> {
    const chance = this.#chance;
    const valid = this.#filled(template);
    if (typeof valid === "string" && !chance.oneIn(3)) return valid;
    if (chance.oneIn(4)) return encodedBody(chance, valid);
    return encodedBody(chance, chance.oneIn(10) ? hostileValue(chance) : mutated(chance, valid));
  }

  /** Replaces `:id` and the like by known ids. */
  #filled(value: unknown): unknown {
    if (typeof value === "string" && value.startsWith(":"))
      return this.#known[value.slice(1)] ?? value;
    if (Array.isArray(value)) return value.map((item: unknown) => this.#filled(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, this.#filled(item)]),
    );
  }

  #path(template: string): string {
    const chance = this.#chance;
    const [route = "", query] = template.split("?");
    const pieces = route.split("/").map((piece, index) => {
      if (index > 2 && chance.oneIn(12)) return hostilePiece(chance);
      return piece.startsWith(":") ? (this.#known[piece.slice(1)] ?? "x") : piece;
    });
    const path = pieces.join("/");
    if (query === undefined) return chance.oneIn(20) ? `${path}?${hostilePiece(chance)}` : path;
    const parameters = query.split("&").map((parameter) => {
      const [name = ""] = parameter.split("=");
      return chance.oneIn(4) ? `${name}=${hostilePiece(chance)}` : parameter;
    });
    return `${path}?${parameters.join("&")}`;
  }

  async #send(request: PreparedRequest): Promise<void> {
    const { method, path, headers, body } = request;
    let response: Response;
    try {
      response = await fetch(this.#server.url + path, {
        method,
        headers,
        redirect: "manual",
        signal: AbortSignal.timeout(HANG_MS),
        ...(body === undefined ? {} : { body }),
      });
    } catch (error) {
      // A request that the client refuses to send says nothing about the server.
      if (error instanceof TypeError && /header|URL|decompress/i.test(error.message)) return;
      return this.#fault(describe(request), `no answer: ${String(error)}`);
    }
    const type = response.headers.get("content-type") ?? "";
    if (type.includes("text/event-stream") || path.includes("follow="))
      return response.body?.cancel();
    const text = await response.text();
    this.#judge(request, response.status, type, text);
  }

  /** Sends bytes that no client library would send. */
  async #sendRaw({ method, path, headers, body }: PreparedRequest): Promise<void> {
    const chance = this.#chance;
    const host = chance.pick(["localhost", "", "[", "a b", "%zz", "x".repeat(300), "évil"]);
    const lines = [
      `${method} ${chance.oneIn(8) ? "//x/../.." : path} HTTP/1.1`,
      `Host: ${host}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      "Connection: close",
      ...(body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
    ];
    const head = `${lines.join("\r\n")}\r\n\r\n`;
    const answer = await rawAnswer(this.#server.server.port, head, body);
    const what = JSON.stringify({ raw: head.slice(0, 2_000), body: shown(body) });
    if (answer === null) return this.#fault(what, "no answer");
    const [answerHead = "", text = ""] = answer
      .replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, "")
      .split("\r\n\r\n", 2);
    // An empty response: the connection was closed because the bytes are not HTTP.
    if (answerHead === "") return;
    const status = Number(answerHead.split(" ")[1]);
    this.#count(status);
    if (status >= 500 && !isExpected(path, status))
      this.#fault(what, `answered ${answer.slice(0, 500)}`);
    else if (!isPage(path) && /<html|<!doctype/i.test(text))
      this.#fault(what, `answered html: ${text.slice(0, 300)}`);
  }

  #judge(request: PreparedRequest, status: number, type: string, text: string): void {
    const what = describe(request);
    this.#count(status);
    if (status >= 500 && !isExpected(request.path, status))
      return this.#fault(what, `answered ${status}: ${text.slice(0, 500)}`);
    if (status < 400 || request.method === "HEAD") return;
    // The runtime's own response, for headers of more than 16 KiB.
    if (status === 431 && text === "") return;
    if (!type.includes("application/json") || !isErrorBody(text))
      this.#fault(what, `answered ${status} as ${type}: ${text.slice(0, 300)}`);
  }

  /** Opens a socket and sends frames on it. */
  async #talk({ path, headers }: PreparedRequest): Promise<void> {
    const chance = this.#chance;
    const { promise, resolve } = Promise.withResolvers<void>();
    const frames = Array.from({ length: 8 }, () => this.#frame());
    const { Authorization: authorization } = headers;
    const socket = new WebSocket(`${this.#server.url.replace("http", "ws")}${path}`, {
      ...(authorization === undefined ? {} : { headers: { Authorization: authorization } }),
    } as never);
    const timer = setTimeout(() => {
      this.#fault(`socket ${path} ${JSON.stringify(frames).slice(0, 2_000)}`, "no answer");
      socket.close();
      resolve();
    }, HANG_MS);
    socket.onopen = () => {
      for (const frame of frames) socket.send(frame);
      socket.close(chance.pick([1000, 3000]));
    };
    socket.onclose = () => resolve();
    socket.onerror = () => undefined;
    await promise;
    clearTimeout(timer);
    this.#count(101);
  }

  #frame(): string {
    const chance = this.#chance;
    if (chance.oneIn(5)) return hostileText(chance);
    const frame = chance.pick(FRAMES);
    return JSON.stringify(chance.oneIn(3) ? frame : mutated(chance, frame)) ?? "";
  }

  #count(status: number): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
  }

  #fault(request: string, problem: string): void {
    this.#faults.push({ request, problem });
  }
}

/** @returns null if nothing arrived in time; a closed connection counts as a response */
async function rawAnswer(
  port: number,
  head: string,
  body: PreparedRequest["body"],
): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => resolve(null), HANG_MS);
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (opened) => {
        opened.write(head);
        if (body !== undefined) opened.write(body);
      },
      data: (_socket, bytes) => {
        text += bytes.toString();
        // A stream does not end.
        if (text.includes("text/event-stream") || text.includes("x-ndjson")) resolve(text);
      },
      close: () => resolve(text),
      error: () => resolve(text),
    },
  });
  const answer = await promise;
  clearTimeout(timer);
  socket.end();
  return answer;
}

/** Whether the server answers with a page of its own. */
function isPage(path: string): boolean {
  return path.split("?", 1)[0] === "/studio";
}

function isExpected(path: string, status: number): boolean {
  return status === 503 && WITHOUT_SHARDS.test(path);
}

function isErrorBody(text: string): boolean {
  const body = parse(text);
  // A rejected transaction reports its errors per operation.
  if (body !== null && "committed" in body) return true;
  return typeof body?.error?.code === "string" && typeof body.error.message === "string";
}

function parse(
  text: string,
): { readonly error?: { readonly code?: unknown; readonly message?: unknown } } | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

function describe({ method, path, headers, body }: PreparedRequest): string {
  return JSON.stringify({ method, path: path.slice(0, 500), headers, body: shown(body) });
}

function shown(body: PreparedRequest["body"]): string | undefined {
  if (body === undefined) return undefined;
  return typeof body === "string"
    ? body.slice(0, 1_500)
    : `bytes ${Buffer.from(body).toString("hex").slice(0, 200)}`;
}
