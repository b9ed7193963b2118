import { http, mutation, query, v, verifyStripe, type HttpDefinition } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { connect } from "node:net";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const SECRET = "whsec_test";
const SHOP = "https://shop.example";
/** More than the kernel buffers for a reader that reads nothing. */
/** Three of these are more than the limit of 128 MiB, also without what sockets buffer. */
const LARGE_BYTES = 64 * 1024 * 1024;
const SLOW_READERS = 5;
/** How many streams of the function `streams` were cancelled. */
const streams = { cancelled: 0 };

/** How many bodies the function `url` has begun to read, and could not read. */
const bodies = { begun: 0, failed: 0 };

/** A definition that fails when the server reads it, before any route is found. */
const broken = {
  ...http({ method: "GET", path: "/broken", handler: () => new Response("mended") }),
  isBroken: false,
  get cors(): undefined {
    if (this.isBroken) throw new Error("a secret of the app");
    return undefined;
  },
};

const functions: Readonly<Record<string, HttpDefinition>> = {
  "echo.bytes": http({
    method: "*",
    path: "/echo/:name/*",
    async handler(request, ctx) {
      const body = await request.bytes();
      return new Response(body, {
        status: 203,
        headers: {
          "X-Method": request.method,
          "X-Params": JSON.stringify(ctx.params),
          "X-User": String(ctx.auth.userId),
          "X-Frame-Options": "SAMEORIGIN",
          "Set-Cookie": "a=1",
        },
      });
    },
  }),
  "hooks.stripe": http({
    method: "POST",
    secrets: ["STRIPE_SECRET"],
    async handler(request, ctx) {
      const { id, json } = await verifyStripe(request, ctx.secrets.STRIPE_SECRET);
      const { n } = json as { n: number };
      const received = await ctx.runMutation("receive", { n }, { idempotencyKey: `stripe:${id}` });
      return Response.json(received);
    },
  }),
  small: http({
    method: "POST",
    maxBodyBytes: 1000,
    handler: async (request) => new Response(String((await request.text()).length)),
  }),
  open: http({
    method: ["GET", "PUT"],
    cors: { origins: [SHOP], exposedHeaders: ["X-Total"] },
    handler: () => new Response("open", { headers: { "X-Total": "1" } }),
  }),
  private: http({
    method: "GET",
    auth: "user",
    cors: { origins: "*" },
    handler: (_request, ctx) => new Response(ctx.auth.userId),
  }),
  anything: http({
    method: "*",
    path: "/anything",
    auth: "user",
    cors: { origins: [SHOP], headers: ["Authorization", "X-Mine"] },
    handler: (request) => new Response(request.method),
  }),
  ownPreflight: http({
    method: "*",
    path: "/own-preflight",
    handler: ({ method }) => new Response(null, { status: method === "OPTIONS" ? 299 : 200 }),
  }),
  signedIn: http({ method: "*", path: "/signed-in", auth: "user", handler: () => new Response() }),
  sharedGet: http({ method: "GET", path: "/shared", handler: () => new Response("get") }),
  sharedPut: http({
    method: "PUT",
    path: "/shared",
    cors: { origins: [SHOP] },
    handler: () => new Response("put"),
  }),
  forOne: http({
    method: "GET",
    path: "/one/:userId",
    auth: "auth.userId == input.userId",
    handler: () => new Response("one"),
  }),
  withCookie: http({
    method: ["GET", "POST"],
    cookies: true,
    handler: (_request, ctx) => new Response(String(ctx.auth.userId)),
  }),
  streams: http({
    method: "GET",
    path: "/streams",
    handler: (_request, ctx) => {
      ctx.signal.addEventListener("abort", () => undefined);
      let n = 0;
      return new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new TextEncoder().encode(`${(n += 1)}\n`)),
          cancel: () => {
            streams.cancelled += 1;
          },
        }),
      );
    },
  }),
  large: http({
    method: "GET",
    path: "/large",
    handler: () => new Response("é".repeat(LARGE_BYTES / 2), { headers: { "X-Large": "1" } }),
  }),
  broken,
  url: http({
    method: "*",
    path: "/url",
    handler: async (request) => {
      if (request.headers.has("content-length")) bodies.begun += 1;
      const { length } = await request.text().catch((error: unknown): never => {
        bodies.failed += 1;
        throw error;
      });
      return new Response(`${new URL(request.url).href} ${length}`);
    },
  }),
  notResponse: http({ method: "GET", handler: () => "text" as never }),
  refuses: http({
    method: "GET",
    handler: (_request, ctx) => {
      throw ctx.error("NOT_FOUND", "no such lot");
    },
  }),
  slow: http({
    method: "GET",
    timeoutSecs: 0.05,
    handler: () => new Promise<never>(() => undefined),
  }),
  rare: http({
    method: "GET",
    rateLimit: { max: 1, windowSecs: 3600 },
    handler: () => new Response("rare"),
  }),
};

const app = appOf(
  buildManifest({
    name: "http-functions",
    version: "1.0.0",
    access: "public",
    entities: [entity("Payment", { n: field.int() })],
  }),
  {
    receive: mutation({
      args: { n: v.int() },
      handler: async (ctx, { n }) => ({ id: await ctx.db.insert("Payment", { n }) }),
    }),
    tells: query({ handler: () => Response.json({}) }),
  },
);

let server: TestServer;
let ann: TestClient;
let admin: TestClient;

beforeAll(async () => {
  server = await startServer(
    { ...app, http: new Map(Object.entries(functions)) },
    { STRIPE_SECRET: SECRET },
  );
  ann = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(server.url + path, init);
const codeOf = async (answer: Response): Promise<unknown> => {
  const { error } = (await answer.json()) as { error?: { code?: unknown } };
  return [answer.status, error?.code];
};

test("any method and body arrives unchanged, and so does the Response", async () => {
  const bytes = Uint8Array.from([0, 255, 128, 10]);
  const answer = await ask("/echo/a%20b/c/d?q=1", { method: "PROPFIND", body: bytes });
  expect(answer.status).toBe(203);
  expect(await answer.bytes()).toEqual(bytes);
  expect(answer.headers.get("x-method")).toBe("PROPFIND");
  expect(answer.headers.get("x-params")).toBe('{"name":"a b","*":"c/d"}');
  expect(answer.headers.get("x-frame-options")).toBe("SAMEORIGIN");
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  expect(answer.headers.get("set-cookie")).toBe("a=1");
  expect(answer.headers.get("x-request-id")).not.toBeNull();
});

test("HEAD is GET without a body; a method that is not declared is 405", async () => {
  const head = await ask("/api/http/open", { method: "HEAD" });
  expect([head.status, await head.text(), head.headers.get("x-total")]).toEqual([200, "", "1"]);
  const large = await ask("/large", { method: "HEAD" });
  expect([large.headers.get("content-length"), await large.text()]).toEqual([`${LARGE_BYTES}`, ""]);
  const refused = await ask("/api/http/open", { method: "DELETE" });
  expect(await codeOf(refused)).toEqual([405, "METHOD_NOT_ALLOWED"]);
  expect((await ask("/api/http/nothing")).status).toBe(404);
});

test("without auth the caller is anonymous, and the Authorization header is ignored", async () => {
  const headers = { Authorization: "Bearer of-another-service", Cookie: `pylon=${ann.token}` };
  const answer = await ask("/echo/a/b", { headers });
  expect([answer.status, answer.headers.get("x-user")]).toEqual([203, "null"]);
});

test("auth requires a bearer token, and a policy can use the path parameters", async () => {
  const headers = { Authorization: `Bearer ${ann.token}` };
  expect(await codeOf(await ask("/api/http/private"))).toEqual([401, "AUTH_REQUIRED"]);
  expect(await (await ask("/api/http/private", { headers })).text()).toBe(ann.userId);
  expect(await (await ask(`/one/${ann.userId}`, { headers })).text()).toBe("one");
  expect(await codeOf(await ask("/one/bob", { headers }))).toEqual([403, "POLICY_DENIED"]);
  const wrong = { Authorization: "Bearer wrong" };
  expect(await codeOf(await ask("/api/http/private", { headers: wrong }))).toEqual([
    ...[401, "UNAUTHORIZED"],
  ]);
});

test("a cookie signs in only where declared, and other sites can't write with it", async () => {
  const signIn = await ask("/api/auth/guest", {
    method: "POST",
    headers: { Origin: server.url },
  });
  const cookie = signIn.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const { user_id: userId } = (await signIn.json()) as { user_id: string };
  expect(await (await ask("/api/http/withCookie", { headers: { cookie } })).text()).toBe(userId);
  expect(await codeOf(await ask("/api/http/private", { headers: { cookie } }))).toEqual([
    ...[401, "AUTH_REQUIRED"],
  ]);
  const foreign = { cookie, Origin: "https://evil.example" };
  const refused = await ask("/api/http/withCookie", { method: "POST", headers: foreign });
  expect(await codeOf(refused)).toEqual([403, "CSRF_REJECTED"]);
});

test("other sites can read what cors allows, including errors", async () => {
  const allowed = async (path: string, origin: string, method = "GET") => {
    const answer = await ask(path, { method, headers: { Origin: origin } });
    const { headers } = answer;
    return [answer.status, headers.get("access-control-allow-origin")];
  };
  expect(await allowed("/api/http/open", SHOP)).toEqual([200, SHOP]);
  expect(await allowed("/api/http/open", SHOP, "OPTIONS")).toEqual([204, SHOP]);
  expect(await allowed("/api/http/open", SHOP, "DELETE")).toEqual([405, SHOP]);
  expect(await allowed("/api/http/open", "https://evil.example")).toEqual([200, null]);
  expect(await allowed("/api/http/private", "https://any.example")).toEqual([401, "*"]);
  expect(await allowed("/api/http/rare", SHOP)).toEqual([200, null]);
  const { headers } = await ask("/api/http/open", {
    method: "OPTIONS",
    headers: { Origin: SHOP },
  });
  expect(headers.get("access-control-allow-methods")).toBe("GET, PUT");
  expect(headers.get("access-control-allow-credentials")).toBeNull();
  expect(headers.get("access-control-expose-headers")).toContain("X-Total");
  const read = await ask("/api/http/open", { headers: { Origin: SHOP } });
  expect(read.headers.get("vary")).toBe("Origin");
});

test("a preflight is answered for the function that takes the announced method", async () => {
  const preflight = async (path: string, method: string, origin = SHOP) => {
    const { status, headers } = await ask(path, {
      method: "OPTIONS",
      headers: { Origin: origin, "Access-Control-Request-Method": method },
    });
    return [status, headers.get("access-control-allow-origin")];
  };
  // It contains no token, and a function for any method would refuse it.
  expect(await preflight("/anything", "PUT")).toEqual([204, SHOP]);
  expect(await preflight("/anything", "PUT", "https://evil.example")).toEqual([204, null]);
  expect(await preflight("/signed-in", "PUT")).toEqual([204, null]);
  expect(await preflight("/shared", "PUT")).toEqual([204, SHOP]);
  expect(await preflight("/shared", "GET")).toEqual([204, null]);
  expect(await preflight("/own-preflight", "PUT")).toEqual([299, null]);
  // Other OPTIONS requests are for the function.
  expect((await ask("/anything", { method: "OPTIONS" })).status).toBe(401);
});

test("a repeated webhook runs once, and a wrong signature is rejected", async () => {
  const body = JSON.stringify({ id: "evt_1", n: 5 });
  const at = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", SECRET).update(`${at}.${body}`).digest("hex");
  const send = (header: string): Promise<Response> =>
    ask("/api/http/hooks/stripe", {
      method: "POST",
      body,
      headers: { "Stripe-Signature": header },
    });
  const first = await (await send(`t=${at},v1=${signature}`)).text();
  expect(await (await send(`t=${at},v1=${signature}`)).text()).toBe(first);
  expect(await codeOf(await send(`t=${at},v1=00`))).toEqual([401, "INVALID_SIGNATURE"]);
  const { text } = await admin.request("POST", "/api/query/Payment", {});
  expect(JSON.parse(text)).toHaveLength(1);
});

test("a body that is too large is rejected, with or without a Content-Length", async () => {
  const send = (body: string | ReadableStream): Promise<Response> =>
    ask("/api/http/small", { method: "POST", body });
  const stream = (bytes: number): ReadableStream =>
    new Blob([new Uint8Array(bytes).fill(97)]).stream();
  expect(await (await send("a".repeat(1000))).text()).toBe("1000");
  expect(await (await send(stream(1000))).text()).toBe("1000");
  for (const body of ["a".repeat(1001), stream(1001), stream(200_000)])
    expect(await codeOf(await send(body))).toEqual([413, "PAYLOAD_TOO_LARGE"]);
});

test("a streamed Response is produced as it is read, until the reader cancels", async () => {
  streams.cancelled = 0;
  const reader = (await ask("/streams")).body?.getReader();
  const { value } = (await reader?.read()) ?? {};
  expect(new TextDecoder().decode(value)).toStartWith("1\n");
  await reader?.cancel();
  await until(() => streams.cancelled === 1);
  expect(await (await ask("/streams", { method: "HEAD" })).text()).toBe("");
  await until(() => streams.cancelled === 2);
});

test("a handler must return a Response, and other functions must not", async () => {
  expect(await codeOf(await ask("/api/http/notResponse"))).toEqual([500, "HANDLER_ERROR"]);
  const told = await ann.request("POST", "/api/fn/tells", {});
  expect(told.body["error"]).toMatchObject({ code: "HANDLER_ERROR" });
  const logs = (await admin.request("GET", "/api/admin/logs?limit=100")).text;
  await until(() => logs.includes("did not return a Response"));
  expect(logs).toContain("is a Response: only an HTTP function");
});

test("errors, timeouts and rate limits work as in any function", async () => {
  expect(await codeOf(await ask("/api/http/refuses"))).toEqual([404, "NOT_FOUND"]);
  expect((await codeOf(await ask("/api/http/slow"))) as unknown[]).toContain("FN_TIMEOUT");
  await ask("/api/http/rare");
  expect(await codeOf(await ask("/api/http/rare"))).toEqual([429, "RATE_LIMITED"]);
});

test("an app with two functions for the same request does not start", async () => {
  const same = http({ method: "GET", path: "/same", handler: () => new Response() });
  const http2 = new Map(Object.entries({ a: same, b: same }));
  const starting = startServer({ ...app, http: http2 }).then((started) => started.stop());
  await expect(starting).rejects.toThrow("handle the same requests");
});

test("a failure outside of a route is answered and logged like any internal error", async () => {
  broken.isBroken = true;
  const answer = await ask("/broken", { headers: { Origin: server.url } });
  // The page that asked may read it, as any other answer.
  expect(answer.headers.get("access-control-allow-origin")).toBe(server.url);
  const text = await answer.text();
  const id = answer.headers.get("x-request-id");
  expect(answer.status).toBe(500);
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  expect(JSON.parse(text)).toMatchObject({ error: { code: "INTERNAL", request_id: id } });
  expect(text).not.toContain("secret");
  broken.isBroken = false;
  expect(await (await ask("/broken")).text()).toBe("mended");
});

test("a handler finds an absolute URL, and an invalid Host header is refused", async () => {
  const { host } = new URL(server.url);
  const lines: readonly (readonly [string, RegExp])[] = [
    [`GET /url?a=b HTTP/1.1\r\nHost: ${host}`, new RegExp(`http://${host}/url\\?a=b 0`)],
    ["GET /url?a=b HTTP/1.0\r\nX-A: b", /http:\/\/localhost\/url\?a=b 0/],
    ["POST /url HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", /http:\/\/localhost\/url 3/],
    ["GET /url HTTP/1.1\r\nHost: a b<>", / 400 .*INVALID_DATA.*Host header/s],
  ];
  for (const [request, answer] of lines)
    expect(await sendRaw(`${request}\r\n\r\n`)).toMatch(answer);
});

test("a function does not fail because its client disconnects within the body", async () => {
  bodies.begun = 0;
  for (const [index, size] of [100, 100_000].entries()) {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    socket.write(`POST /url HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\nabc`);
    await until(() => bodies.begun === index + 1);
    socket.destroy();
    await until(() => bodies.failed === index + 1);
  }
  const headers = { Authorization: `Bearer ${ADMIN_TOKEN}` };
  const logged = await (await ask("/api/admin/logs?level=warn", { headers })).text();
  expect(logged).not.toContain('"function":"url"');
});

test("T17: large Responses that wait for slow readers are bounded in total", async () => {
  const readers = Array.from({ length: SLOW_READERS }, () => new SlowReader("/large"));
  await Promise.all(readers.map((reader) => reader.hasAnswer));
  expect((await ask("/api/auth/me")).status).toBe(200);
  const received = await Promise.all(readers.map((reader) => reader.rest()));
  const whole = received.filter((bytes) => bytes > LARGE_BYTES);
  expect(whole.length).toBeGreaterThan(0);
  expect(whole.length).toBeLessThanOrEqual(2);
  const answer = await ask("/large");
  expect(answer.headers.get("content-type")?.toLowerCase()).toBe("text/plain;charset=utf-8");
  expect(answer.headers.get("x-large")).toBe("1");
  expect((await answer.bytes()).length).toBe(LARGE_BYTES);
});

/** Sends a request as it is. @returns the text of the response, at the latest after its end */
function sendRaw(request: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (/\r\n\r\n[^]+/.test(text)) socket.destroy();
  });
  socket.once("close", () => resolve(text));
  socket.write(request);
  return promise;
}

/** A client that reads the beginning of a response, and the rest only when asked to. */
class SlowReader {
  readonly #socket;
  readonly #closed: Promise<void>;
  readonly hasAnswer: Promise<void>;
  #bytes = 0;

  constructor(path: string) {
    const { hostname, port } = new URL(server.url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.on("error", () => undefined);
    this.#closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    this.hasAnswer = new Promise((resolve) => {
      this.#socket.on("data", (chunk: Buffer) => {
        if (this.#bytes === 0) this.#socket.pause();
        this.#bytes += chunk.length;
        resolve();
      });
    });
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  }

  /** Reads until the end. @returns the bytes of the whole response */
  async rest(): Promise<number> {
    this.#socket.resume();
    await this.#closed;
    return this.#bytes;
  }
}
