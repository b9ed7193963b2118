import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { bearerProtocol } from "@pylonsync/protocol";
import { createSyncEngine, systemPlatform, type Socket } from "@pylonsync/sync";
import { aMoment, until } from "../support/client.ts";
import { Replica } from "../support/cluster.ts";
import { Certificate } from "../support/servers/certificate.ts";
import { freePorts } from "../support/servers/free-port.ts";
import { ProxyServer, type ProxyKind } from "../support/servers/proxy.ts";

// The configurations that docs/deploy/proxies.md shows, run by real proxies in front of a real
// server, over TLS.

const APP = `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "proxies", version: "1.0.0", access: "public",
  entities: [entity("Note", { text: field.string() })] });
`;
/** Sends a chunk, waits, and sends another one. */
const TELL = `import { action } from "@pylonsync/functions";
export default action({
  handler: async (ctx) => {
    await ctx.stream.write("first");
    await new Promise((resolve) => setTimeout(resolve, 200));
    await ctx.stream.write("second");
    return "end";
  },
});
`;
const MIB = 1024 * 1024;
/**
 * The proxies close connections that are silent for this time, in seconds; the server pings after
 * 4.
 */
const PROXY_IDLE = 7;
const SHORT = {
  haproxy: {
    "timeout client 60s": `timeout client ${PROXY_IDLE}s`,
    "timeout server 60s": `timeout server ${PROXY_IDLE}s`,
    "timeout tunnel 60s": `timeout tunnel ${PROXY_IDLE}s`,
  },
  nginx: { "proxy_read_timeout 60s": `proxy_read_timeout ${PROXY_IDLE}s` },
} as const;

const dir = mkdtempSync(join(tmpdir(), "pylon-proxies-"));
const certificate = new Certificate();
const tls = { ca: certificate.ca };
/** The first server pings in time; the second one does not, for comparison. */
let pinging: Replica;
let silent: Replica;

async function replicaWith(name: string, env: Readonly<Record<string, string>>): Promise<Replica> {
  const files = { PYLON_FILES_DIR: join(dir, name), PYLON_DB_PATH: join(dir, `${name}.db`) };
  const replica = new Replica(dir, await freePorts(4), {
    ...files,
    PYLON_SINGLE_PORT: "0",
    PYLON_TRUST_PROXY_HOPS: "1",
    ...env,
  });
  await replica.start();
  return replica;
}

beforeAll(async () => {
  mkdirSync(join(dir, "functions"));
  writeFileSync(join(dir, "app.ts"), APP);
  writeFileSync(join(dir, "functions", "tell.ts"), TELL);
  pinging = await replicaWith("pinging", {
    PYLON_PING_SECS: "4",
    PYLON_MAX_CONNECTIONS_PER_IP: "40",
  });
  silent = await replicaWith("silent", { PYLON_PING_SECS: "120" });
});
afterAll(async () => {
  await Promise.all([pinging.stop(), silent.stop()]);
  certificate[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

interface Options {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
}

function request(
  url: string,
  { method = "GET", token, headers = {}, body }: Options = {},
): Promise<Response> {
  const all = { ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }), ...headers };
  return fetch(url, { method, headers: all, tls, ...(body === undefined ? {} : { body }) });
}

async function guest(url: string): Promise<{ readonly token: string; readonly cookie: string }> {
  const answer = await request(`${url}/api/auth/guest`, { method: "POST" });
  const { token } = (await answer.json()) as { token: string };
  return { token, cookie: answer.headers.get("set-cookie") ?? "" };
}

interface Heard {
  readonly socket: WebSocket;
  readonly texts: string[];
  /** The close code; null while the socket is open. */
  code: number | null;
}

function listen(url: string, token: string, headers: Readonly<Record<string, string>> = {}): Heard {
  const socket = new WebSocket(url.replace("https:", "wss:"), {
    protocols: [bearerProtocol(token)],
    tls,
    headers,
  } as unknown as string[]);
  const heard: Heard = { socket, texts: [], code: null };
  socket.onmessage = ({ data }) => heard.texts.push(String(data));
  socket.onclose = ({ code }) => {
    heard.code = code;
  };
  return heard;
}

/** Opens and reads an event stream. */
async function follow(
  url: string,
  token: string,
): Promise<{
  readonly seen: () => string;
  readonly isOver: () => boolean;
  readonly stop: () => void;
}> {
  const controller = new AbortController();
  const answer = await fetch(url, {
    headers: { Authorization: `Bearer ${token}` },
    tls,
    signal: controller.signal,
  });
  let [seen, isOver] = ["", false];
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>)
      seen += decoder.decode(chunk, { stream: true });
  };
  void read()
    .catch(() => undefined)
    .finally(() => {
      isOver = true;
    });
  return { seen: () => seen, isOver: () => isOver, stop: () => controller.abort() };
}

/** Sends bytes over a TLS connection that no HTTP client would send like this. */
async function rawConnection(port: number, text: string): Promise<TLSSocket> {
  const socket = connectTls({
    host: "localhost",
    port,
    ca: certificate.ca,
    servername: "localhost",
  });
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  socket.write(text);
  return socket;
}

function http2Status(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(url, { ca: certificate.ca });
    session.on("error", reject);
    const stream = session.request({ ":path": "/health" });
    stream.on("response", (headers) => resolve(Number(headers[":status"])));
    stream.on("close", () => session.close());
    stream.on("error", reject);
    stream.resume();
    stream.end();
  });
}

const LAYOUTS = [
  { layout: "one port", fourPorts: false },
  { layout: "four ports", fourPorts: true },
] as const;

describe.each(["haproxy", "nginx"] as const satisfies readonly ProxyKind[])("behind %s", (kind) => {
  describe.each(LAYOUTS)("with $layout", ({ fourPorts }) => {
    let proxy: ProxyServer;
    let url: string;
    let socketUrl: string;
    let streamUrl: string;
    let token: string;
    beforeAll(async () => {
      proxy = await ProxyServer.start(kind, {
        certificate,
        port: await freePorts(4),
        fourPorts,
        replicas: [pinging.port, pinging.port],
        changes: SHORT[kind],
      });
      url = proxy.url;
      socketUrl = fourPorts ? `https://localhost:${proxy.port + 1}/` : `${url}/ws`;
      streamUrl = fourPorts ? `https://localhost:${proxy.port + 2}/events` : `${url}/events`;
      // HAProxy must have run its first health check.
      await until(async () => (await request(`${url}/health`)).status === 200);
      ({ token } = await guest(url));
    });
    afterAll(() => proxy[Symbol.asyncDispose]());

    test("a change arrives on a socket and on a stream", async () => {
      const heard = listen(`${socketUrl}?since=0`, token);
      const stream = await follow(`${streamUrl}?since=0`, token);
      await until(() => heard.texts.length > 0 && stream.seen().includes('"hello"'));
      const text = crypto.randomUUID();
      expect(
        (
          await request(`${url}/api/entities/Note`, {
            method: "POST",
            token,
            body: JSON.stringify({ text }),
          })
        ).status,
      ).toBe(201);
      await until(
        () => heard.texts.some((message) => message.includes(text)) && stream.seen().includes(text),
      );
      heard.socket.close();
      stream.stop();
    });

    test("the sync client writes, and receives another client's write", async () => {
      const platform = {
        ...systemPlatform,
        fetch: (target: string, init: RequestInit) => fetch(target, { ...init, tls }),
        openSocket: (target: string, protocols: string[]) =>
          new WebSocket(target, { protocols, tls } as unknown as string[]) as unknown as Socket,
      };
      const engineOf = (own: string) =>
        createSyncEngine(url, {
          token: own,
          platform,
          appName: crypto.randomUUID(),
          ...(fourPorts ? { wsUrl: socketUrl.replace("https:", "wss:") } : {}),
        });
      const [a, b] = [engineOf(token), engineOf((await guest(url)).token)];
      a.start();
      b.start();
      await until(() => a.status.connection === "live" && b.status.connection === "live");
      const text = crypto.randomUUID();
      await a.insert("Note", { text });
      await until(() =>
        b
          .query("Note")
          .getSnapshot()
          .some((row) => row["text"] === text),
      );
      a.stop();
      b.stop();
    });

    test("each port answers health checks, and the fourth has no shards", async () => {
      for (const offset of fourPorts ? [0, 1, 2, 3] : [0]) {
        for (const path of ["/health", "/readyz"]) {
          const at = `https://localhost:${proxy.port + offset}${path}`;
          await until(async () => (await request(at)).status === 200);
        }
      }
      const shards = await request(
        fourPorts
          ? `https://localhost:${proxy.port + 3}/?shard=arena&sid=me`
          : `${url}/shards?shard=arena&sid=me`,
      );
      expect([
        shards.status,
        ((await shards.json()) as { error: { code: string } }).error.code,
      ]).toEqual([503, "SHARDS_NOT_AVAILABLE"]);
    });

    // These tests do not depend on the layout, so they run once per proxy.
    if (!fourPorts) {
      const place = (): Place => ({ url, token });
      connectionsStayOpen(kind, place);
      bodiesPass(place);
      clientsAreCounted(kind, place);
      pagesAreToldApart(place);
      slowClientsHoldNothingUp(place);
    }
  });
});

interface Place {
  readonly url: string;
  readonly token: string;
}

/**
 * Checks idle connections behind a proxy with an idle timeout, and the protocol of the front end.
 */
function connectionsStayOpen(kind: ProxyKind, place: () => Place): void {
  test("pings keep silent sockets and streams open behind a proxy that cuts others", async () => {
    const { url, token } = place();
    await using other = await ProxyServer.start(kind, {
      certificate,
      port: await freePorts(4),
      fourPorts: false,
      replicas: [silent.port, silent.port],
      changes: SHORT[kind],
    });
    await until(async () => (await request(`${other.url}/health`)).status === 200);
    const { token: otherToken } = await guest(other.url);
    const [kept, cut] = [
      listen(`${url}/ws?since=0`, token),
      listen(`${other.url}/ws?since=0`, otherToken),
    ];
    const [keptStream, cutStream] = [
      await follow(`${url}/events?since=0`, token),
      await follow(`${other.url}/events?since=0`, otherToken),
    ];
    await until(() =>
      [kept, cut].every(({ texts }) => texts.some((text) => text.includes('"hello"'))),
    );
    await until(() => cut.code !== null && cutStream.isOver(), (PROXY_IDLE + 5) * 1000);
    // The other connections were opened first, and outlive these.
    await aMoment();
    expect([kept.code, keptStream.isOver()]).toEqual([null, false]);
    kept.socket.close();
    keptStream.stop();
  });

  test("the proxy accepts HTTP/2 from clients", async () => {
    expect(await http2Status(place().url)).toBe(200);
  });
}

function bodiesPass(place: () => Place): void {
  test("50 MB are uploaded and downloaded unchanged", async () => {
    const { url, token } = place();
    const content = new Uint8Array(50 * MIB);
    for (let index = 0; index < content.length; index += 4096) content[index] = index / 4096;
    const sent = await request(`${url}/api/files/upload`, {
      method: "POST",
      token,
      body: content,
      headers: { "Content-Type": "application/octet-stream", "X-Filename": "big.bin" },
    });
    const { id, checksum } = (await sent.json()) as { id: string; checksum: string };
    expect(sent.status).toBe(201);
    const hash = new Bun.CryptoHasher("sha256");
    let length = 0;
    const download = await request(`${url}/api/files/${id}`, { token });
    for await (const chunk of download.body as unknown as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      length += chunk.length;
    }
    expect([length, hash.digest("hex")]).toEqual([
      content.length,
      new Bun.CryptoHasher("sha256").update(content).digest("hex"),
    ]);
    expect(checksum).toBeTruthy();
  });

  test("a function's first chunk arrives before it has finished", async () => {
    const { url, token } = place();
    const answer = await request(`${url}/api/fn/tell`, {
      method: "POST",
      token,
      body: "{}",
      headers: { Accept: "text/event-stream" },
    });
    const { value } = await (answer.body as ReadableStream<Uint8Array>).getReader().read();
    const text = new TextDecoder().decode(value);
    expect([text.includes("first"), text.includes("second")]).toEqual([true, false]);
  });
}

function clientsAreCounted(kind: ProxyKind, place: () => Place): void {
  test("rate limits use the client's real address, whatever header it sends", async () => {
    const { url } = place();
    const limited = await replicaWith(`limited-${kind}`, { PYLON_RATE_LIMIT_MAX: "3" });
    try {
      await using proxy = await ProxyServer.start(kind, {
        certificate,
        port: await freePorts(4),
        fourPorts: false,
        replicas: [limited.port, limited.port],
      });
      await until(async () => (await request(`${proxy.url}/health`)).status === 200);
      const statuses: number[] = [];
      for (let index = 0; index < 5; index += 1)
        statuses.push(
          (
            await request(`${proxy.url}/api/auth/me`, {
              headers: { "X-Forwarded-For": `10.0.0.${index}` },
            })
          ).status,
        );
      expect(statuses).toEqual([200, 200, 200, 429, 429]);
      // A client with another address, as the proxy would report it, is not limited.
      const direct = await fetch(`${limited.url}/api/auth/me`, {
        headers: { "X-Forwarded-For": "10.0.0.9, 192.0.2.7" },
      });
      expect(direct.status).toBe(200);
    } finally {
      await limited.stop();
    }
    expect((await request(`${url}/api/auth/me`)).status).toBe(200);
  });

  test("the socket limit uses the client's address too", async () => {
    const { url, token } = place();
    const mine = Array.from({ length: 42 }, (_, index) =>
      listen(`${url}/ws?since=0`, token, { "X-Forwarded-For": `10.0.1.${index}` }),
    );
    await until(() =>
      mine.every(({ socket, code }) => socket.readyState === WebSocket.OPEN || code !== null),
    );
    expect(mine.filter(({ code }) => code !== null).length).toBeGreaterThanOrEqual(2);
    for (const { socket } of mine) socket.close();
    await until(async () => {
      const one = listen(`${url}/ws?since=0`, token);
      await until(() => one.socket.readyState === WebSocket.OPEN || one.code !== null);
      one.socket.close();
      return one.code === null;
    });
  });
}

function pagesAreToldApart(place: () => Place): void {
  test("a page of this host may open a socket, a page of another host may not", async () => {
    const { url, token } = place();
    const own = listen(`${url}/ws?since=0`, token, { Origin: url });
    const foreign = listen(`${url}/ws?since=0`, token, { Origin: "https://evil.example" });
    await until(() => own.texts.length > 0 && foreign.code !== null);
    expect(foreign.texts).toEqual([]);
    own.socket.close();
  });

  test("the session's cookie is Secure, and is accepted only from pages of this host", async () => {
    const { url } = place();
    const { cookie } = await guest(url);
    expect(cookie).toMatch(/; ?Secure/i);
    const session = cookie.slice(0, cookie.indexOf(";"));
    const me = async (origin: string): Promise<unknown> =>
      (
        (await (
          await request(`${url}/api/auth/me`, { headers: { Cookie: session, Origin: origin } })
        ).json()) as { user_id?: unknown }
      ).user_id ?? null;
    expect(await me(url)).toBeString();
    const write = (origin: string): Promise<Response> =>
      request(`${url}/api/entities/Note`, {
        method: "POST",
        headers: { Cookie: session, Origin: origin },
        body: '{"text":"by cookie"}',
      });
    expect((await write(url)).status).toBe(201);
    expect((await write("https://evil.example")).status).toBe(403);
  });
}

function slowClientsHoldNothingUp(place: () => Place): void {
  test("clients that send slowly or do not read do not block others", async () => {
    const { url, token } = place();
    const port = Number(new URL(url).port);
    const sent = await request(`${url}/api/files/upload`, {
      method: "POST",
      token,
      body: new Uint8Array(20 * MIB),
      headers: { "Content-Type": "application/octet-stream", "X-Filename": "wanted.bin" },
    });
    const { id } = (await sent.json()) as { id: string };
    const host = `HTTP/1.1\r\nHost: localhost\r\n`;
    const signedIn = `${host}Authorization: Bearer ${token}\r\n`;
    const many = (count: number, text: string): Promise<TLSSocket[]> =>
      Promise.all(Array.from({ length: count }, () => rawConnection(port, text)));
    const slow = await many(20, `GET /api/auth/me ${host}X-Slow: `);
    const stalled = await many(10, `GET /api/files/${id} ${signedIn}\r\n`);
    for (const socket of stalled) socket.pause();
    const unfinished = await many(
      10,
      `POST /api/entities/Note ${signedIn}Content-Length: 1000\r\n\r\n{"text":`,
    );
    const socket = listen(`${url}/ws?since=0`, token);
    await until(() => socket.texts.length > 0);
    const text = crypto.randomUUID();
    expect(
      (
        await request(`${url}/api/entities/Note`, {
          method: "POST",
          token,
          body: JSON.stringify({ text }),
        })
      ).status,
    ).toBe(201);
    await until(() => socket.texts.some((message) => message.includes(text)));
    socket.socket.close();
    for (const connection of [...slow, ...stalled, ...unfinished]) connection.destroy();
  });
}
