import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { action, internalMutation, mutation, query, v, verifyGithub } from "@pylonsync/functions";
import { buildManifest, definePlugin, entity, field } from "@pylonsync/sdk";
import { MAIN_FILE } from "../../packages/cli/src/testing/main-file.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";
import { watchdogRuns } from "../support/watchdog-thread.ts";

const SECRET = "an inner detail";

/** Resolves when the function `slow` is called. */
const slowRuns = Promise.withResolvers<void>();
const app = appOf(
  buildManifest({
    name: "functions",
    version: "1.0.0",
    access: "public",
    entities: [entity("Item", { n: field.int() })],
    plugins: [
      definePlugin({
        name: "no-negative",
        hooks: {
          beforeInsert: (data) => Number(data["n"]) >= 0 && { ...data, n: Number(data["n"]) + 1 },
        },
      }),
    ],
  }),
  {
    count: query({ args: {}, handler: (ctx) => ctx.db.count("Item") }),
    addInternal: internalMutation({
      args: { n: v.int() },
      handler: (ctx, { n }) => ctx.db.insert("Item", { n }),
    }),
    addByAction: action({
      args: { n: v.int() },
      handler: (ctx, args) => ctx.runMutation("addInternal", args),
    }),
    nothing: query({ args: {}, handler: () => undefined }),
    breaks: query({
      args: {},
      handler: () => {
        throw new Error(SECRET);
      },
    }),
    tellsLies: query({ args: {}, returns: v.string(), handler: () => 5 as never }),
    neverEnds: mutation({
      args: {},
      handler: async (ctx) => {
        await ctx.db.insert("Item", { n: 900 });
        await new Promise(() => undefined);
      },
    }),
    talks: action({
      args: {},
      handler: async (ctx) => {
        await ctx.stream.write("one\ntwo");
        await ctx.stream.writeEvent("progress", "50%");
        return { done: true };
      },
    }),
    whoAmI: query({
      args: {},
      handler: (ctx) => ({ ...ctx.auth, hasSecret: ctx.env["PYLON_ADMIN_TOKEN"] !== undefined }),
    }),
    slow: action({
      args: {},
      handler: async () => {
        slowRuns.resolve();
        await Bun.sleep(200);
        return { slept: true };
      },
    }),
    hook: action({
      args: {},
      webhook: { methods: ["PUT"] },
      handler: (ctx) => ({
        method: ctx.request?.method,
        path: ctx.request?.path,
        body: ctx.request?.rawBody,
        signature: ctx.request?.headers["x-signature"],
      }),
    }),
    signedHook: action({
      args: { rawBody: v.string() },
      handler: async (ctx, { rawBody }) => {
        if (ctx.request === undefined) throw new Error("It is not a webhook call.");
        const { json } = await verifyGithub(ctx.request, "secret");
        return { json, isMarked: rawBody.startsWith("\u{feff}") };
      },
    }),
  },
);

let server: TestServer;
let client: TestClient;
const call = (name: string, args: unknown = {}): ReturnType<TestClient["request"]> =>
  client.request("POST", `/api/fn/${name}`, args);
beforeAll(async () => {
  server = await startServer(app, { PYLON_FN_CALL_TIMEOUT: "1", PYLON_LOG_LEVEL: "error" });
  client = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

test("an internal function can only be called by other functions", async () => {
  expect(await call("addInternal", { n: 1 })).toMatchObject({
    status: 404,
    body: { error: { code: "FN_NOT_FOUND" } },
  });
  expect((await call("addByAction", { n: 1 })).status).toBe(200);
  expect((await call("count")).text).toBe("1");
});

test("plugin hooks run for writes of functions too, and may change or reject them", async () => {
  const { text } = await call("addByAction", { n: 5 });
  expect(
    (await client.request("GET", `/api/entities/Item/${JSON.parse(text) as string}`)).body["n"],
  ).toBe(6);
  expect(await call("addByAction", { n: -1 })).toMatchObject({
    status: 403,
    body: { error: { code: "HOOK_REFUSED" } },
  });
});

test("undefined is returned as null", async () => {
  expect((await call("nothing")).text).toBe("null");
});

test("a bug reveals no inner detail to the caller", async () => {
  const answer = await call("breaks");
  expect(answer).toMatchObject({
    status: 500,
    body: { error: { code: "HANDLER_ERROR", message: "Internal handler error" } },
  });
  expect(answer.text).not.toContain(SECRET);
  expect((await call("tellsLies")).status).toBe(500);
});

test("a handler that exceeds its timeout is rolled back, and blocks no other", async () => {
  const before = (await call("count")).text;
  const [late, next] = await Promise.all([
    call("neverEnds"),
    Bun.sleep(50).then(() => call("addByAction", { n: 7 })),
  ]);
  expect(late).toMatchObject({ status: 504, body: { error: { code: "FN_TIMEOUT" } } });
  expect([200, 504]).toContain(next.status);
  expect(Number((await call("count")).text) - Number(before)).toBe(next.status === 200 ? 1 : 0);
  expect((await call("addByAction", { n: 8 })).status).toBe(200);
});

test("a stream is a list of events, one data line per text line, and the result last", async () => {
  const { text } = await client.request(
    "POST",
    "/api/fn/talks",
    {},
    { Accept: "text/event-stream" },
  );
  expect(text).toBe(
    'data: one\ndata: two\n\nevent: progress\ndata: 50%\n\nevent: result\ndata: {"done":true}\n\n',
  );
  const failed = await client.request(
    "POST",
    "/api/fn/breaks",
    {},
    { Accept: "text/event-stream" },
  );
  expect(failed.text).toMatch(/^event: error\ndata: \{"code":"HANDLER_ERROR"/);
});

test("a webhook receives the method, the path, the headers and the raw body", async () => {
  const answer = await client.request("PUT", "/api/webhooks/hook?x=1", "not json", {
    "X-Signature": "abc",
  });
  expect(answer.body).toEqual({
    method: "PUT",
    path: "/api/webhooks/hook?x=1",
    body: "not json",
    signature: "abc",
  });
});

test("a webhook's signature is verified over the bytes that were sent", async () => {
  const send = async (body: string): Promise<unknown> => {
    const signature = new Bun.CryptoHasher("sha256", "secret").update(body).digest("hex");
    const headers = { "x-hub-signature-256": `sha256=${signature}`, "x-github-delivery": "d1" };
    const url = `${server.url}/api/webhooks/signedHook`;
    const answer = await fetch(url, { method: "POST", headers, body });
    return answer.json();
  };
  for (const json of [{ a: "é" }, { a: "x".repeat(100_000) }]) {
    const text = JSON.stringify(json);
    expect(await send(text)).toEqual({ json, isMarked: false });
    expect(await send(`\u{feff}${text}`)).toEqual({ json, isMarked: true });
  }
});

test("ctx.auth is the owner of the token, and only the admin can list the functions", async () => {
  expect((await call("whoAmI")).body).toMatchObject({
    userId: client.userId,
    isGuest: true,
    isAdmin: false,
    hasSecret: false,
  });
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  expect((await admin.request("GET", "/api/fn")).text).toContain(
    '{"name":"count","fn_type":"query","args_schema":{}}',
  );
  expect((await client.request("GET", "/api/fn")).status).toBe(403);
});

test("a stopping server completes open requests, closes sockets and stops listening", async () => {
  const own = await startServer(app, { PYLON_FN_CALL_TIMEOUT: "5" });
  const caller = await TestClient.guest(own.url);
  expect(await caller.request("GET", "/readyz")).toMatchObject({
    status: 200,
    body: { status: "ready", parts: { database: "up" } },
  });
  const socket = await caller.live(0).ready();
  const slow = caller.request("POST", "/api/fn/slow", {});
  await slowRuns.promise;
  const stopped = own.stop();
  expect((await slow).body).toEqual({ slept: true });
  await stopped;
  expect(socket.closed?.code).toBe(1001);
  await expect(
    fetch(`${own.url}/health`).then(
      () => "up",
      () => "down",
    ),
  ).resolves.toBe("down");
});

test("an endless loop does not take the server down permanently", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-loop-"));
  mkdirSync(join(dir, "functions"));
  writeFileSync(
    join(dir, "app.ts"),
    'import { buildManifest, entity, field } from "@pylonsync/sdk";\nexport default ' +
      'buildManifest({ name: "l", version: "1.0.0", access: "public", entities: ' +
      '[entity("Item", { n: field.int() })] });',
  );
  writeFileSync(
    join(dir, "functions", "loop.ts"),
    'import { query } from "@pylonsync/functions";\nexport default query({ args: {}, ' +
      "handler: () => { for (;;); } });",
  );
  const port = await freePort();
  const env = {
    ...process.env,
    PYLON_SINGLE_PORT: "1",
    PYLON_DB_PATH: join(dir, "l.db"),
    PYLON_FN_CALL_TIMEOUT: "1",
    PYLON_LOG_LEVEL: "error",
  };
  const child = Bun.spawn([process.execPath, MAIN_FILE, "start", dir, "--port", String(port)], {
    env,
    stdout: "ignore",
    stderr: "pipe",
  });
  const isUp = (): Promise<boolean> =>
    fetch(`http://localhost:${port}/health`, { signal: AbortSignal.timeout(300) }).then(
      ({ ok }) => ok,
      () => false,
    );
  try {
    await until(isUp);
    await watchdogRuns(child.pid);
    void fetch(`http://localhost:${port}/api/fn/loop`, { method: "POST" }).catch(() => undefined);
    await until(async () => !(await isUp()));
    await until(isUp, 30_000);
    expect(child.exitCode).toBeNull();
    // From now on the function runs in its own process: there is one restart, and never a second.
    const again = fetch(`http://localhost:${port}/api/fn/loop`, { method: "POST" });
    expect((await again).status).toBe(504);
    expect(await isUp()).toBe(true);
  } finally {
    child.kill();
    await child.exited;
  }
  expect(await new Response(child.stderr).text()).toContain("function loop");
  rmSync(dir, { recursive: true, force: true });
}, 120_000);
