import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import { TestClient, until } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";

// `ctx` behaves the same in the server's process and in the separate process of a handler.

const APP = join(import.meta.dir, "../support/isolated-context-app");
const MIB = 1024 * 1024;

describe.each(["never", "always"])("with isolation %s", (mode) => {
  let mail: MailServer;
  let server: TestServer;
  let ann: TestClient;
  let nobody: TestClient;
  let admin: TestClient;

  beforeAll(async () => {
    mail = await startMailServer();
    server = await startServer(await loadApp(APP, { dev: true }), {
      // In dev mode functions may send requests to this machine.
      PYLON_DEV_MODE: "1",
      PYLON_FUNCTION_ISOLATION: mode,
      PYLON_EMAIL_PROVIDER: "smtp",
      PYLON_SMTP_URL: mail.url,
      PYLON_EMAIL_FROM: "Shop <shop@example.com>",
      OWN_KEY: "k1",
      OTHERS_KEY: "k2",
      REGION: "here",
    });
    ann = await TestClient.guest(server.url);
    nobody = new TestClient(server.url, null);
    admin = new TestClient(server.url, ADMIN_TOKEN);
  });
  afterAll(async () => {
    await server.stop();
    await mail.stop();
  });

  async function call(
    name: string,
    args: object = {},
    client: TestClient = ann,
  ): Promise<readonly [status: number, value: unknown]> {
    const { status, text } = await client.request("POST", `/api/fn/${name}`, args);
    const value: unknown = JSON.parse(text);
    const { error } = Object(value) as { readonly error?: { readonly code?: unknown } };
    return [status, error === undefined ? value : error.code];
  }

  async function countItems(): Promise<number> {
    return Number((await call("count"))[1]);
  }

  async function tracesOf(name: string): Promise<Record<string, unknown>[]> {
    const { body } = await admin.request("GET", "/api/fn/traces?limit=500");
    return (body as unknown as Record<string, unknown>[]).filter(({ fn_name }) => fn_name === name);
  }

  async function newestTrace(name: string): Promise<Record<string, unknown>> {
    const [trace] = await tracesOf(name);
    if (trace === undefined) throw new Error(`No call of ${name} was traced.`);
    expect(trace["isolated"]).toBe(mode === "always");
    return trace;
  }

  test("a declared error reaches its caller with its data and undoes the mutation", async () => {
    const before = await countItems();
    const refused = async (name: string, args: object): Promise<unknown> =>
      JSON.parse((await ann.request("POST", `/api/fn/${name}`, args)).text);
    const error = {
      code: "OUTBID",
      message: "Somebody has bid more.",
      request_id: expect.any(String),
    };
    expect(await refused("bid", { cents: 5 })).toEqual({
      error: { ...error, data: { highest: 100 } },
    });
    expect(await call("bidsFor", { cents: 5, catches: true })).toEqual([
      200,
      { told: { highest: 100 } },
    ]);
    // The action does not declare the error: its code is passed on, its data is not.
    expect(await refused("bidsFor", { cents: 5, catches: false })).toEqual({ error });
    expect(await call("bid", { cents: 500, with: "bug" })).toEqual([500, "HANDLER_ERROR"]);
    expect(await countItems()).toBe(before);
    const { text } = await ann.request(
      "POST",
      "/api/fn/bid",
      { cents: 5 },
      {
        Accept: "text/event-stream",
      },
    );
    expect(text).toContain("event: error");
    expect(text).toContain('"data":{"highest":100}');
  });

  test("ctx.storage writes, reads and signs files, and its calls are traced", async () => {
    const [status, value] = await call("stores", { text: "hello" });
    expect([status, value]).toEqual([
      200,
      {
        id: expect.any(String),
        isMine: true,
        size: 5,
        rest: "ello",
        link: expect.stringContaining("signature="),
        refused: "FILE_NOT_FOUND",
        isSame: true,
      },
    ]);
    const { link } = value as { readonly link: string };
    expect(await (await fetch(server.url + link)).text()).toBe("hello");
    expect((await newestTrace("stores"))["ops"]).toMatchObject([
      { op: "storage.write", entity: "file", ok: true },
      { op: "storage.read", entity: "file", ok: true },
      { op: "storage.sign", entity: "file", ok: true },
      { op: "storage.sign", entity: "file", ok: false },
      { op: "storage.info", entity: "file", ok: true },
    ]);
  });

  test("ctx.db.as has the rights of a user, in the same transaction, and hooks run", async () => {
    const other = await TestClient.guest(server.url);
    const [status, value] = await call("notes.write", { other: other.userId });
    expect([status, value]).toEqual([
      200,
      {
        mine: { id: expect.any(String), ownerId: ann.userId, text: "MINE" },
        pin: 1,
        theirs: null,
        changed: false,
        theirCount: 1,
        byId: 1,
        all: 2,
        refused: "POLICY_DENIED",
        hook: "NOT_A_NOTE",
        nobody: "INVALID_ARGS",
      },
    ]);
    const ops = (await newestTrace("notes.write"))["ops"] as { readonly op: string }[];
    expect(ops.map(({ op }) => op).join(" ")).toBe(
      "insert insert get get get update count count count insert insert",
    );
  });

  test("auth, policies and rate limits are checked in the server", async () => {
    expect(await call("notes.write", { other: "x" }, nobody)).toEqual([401, "AUTH_REQUIRED"]);
    const denied = await call("notes.forOwners", { text: "x" });
    expect(denied).toEqual([403, "POLICY_DENIED"]);
    const [, pid] = await call("notes.forOwners", { text: "MINE" });
    expect(pid === process.pid).toBe(mode === "never");
    const calls = [await call("rare"), await call("rare"), await call("rare")];
    expect(calls.map(([status]) => status)).toEqual([200, 200, 429]);
  });

  test("middleware can reject, extend the context and roll back the handler's writes", async () => {
    const before = await countItems();
    expect(await call("withCaller", { end: "now" }, nobody)).toEqual([400, "SIGN_IN_FIRST"]);
    expect(await call("withCaller", { end: "late" })).toEqual([400, "TOO_LATE"]);
    expect(await countItems()).toBe(before);
    expect(await call("withCaller", { end: "now" })).toEqual([
      200,
      { caller: ann.userId, seen: 'withCaller {"end":"now"}' },
    ]);
    expect(await countItems()).toBe(before + 1);
  });

  test("results are checked, schemas transform values, a repeated key runs once", async () => {
    const before = await countItems();
    expect(await call("addItem", { n: -1 })).toEqual([500, "HANDLER_ERROR"]);
    expect(await countItems()).toBe(before);
    const at = "2026-01-02T03:04:05.000Z";
    expect(await call("schema", { at })).toEqual([200, { year: "in 2026" }]);
    expect(await call("schema", { at: "yesterday" })).toEqual([400, "INVALID_ARGS"]);
    expect(await call("addOnce")).toEqual([200, { isSame: true }]);
    expect(await countItems()).toBe(before + 1);
  });

  test("ctx.fetch, ctx.email and ctx.log work", async () => {
    using other = Bun.serve({
      port: 0,
      fetch: async (request) => new Response(`${await request.text()} pong`, { status: 201 }),
    });
    const to = `${mode}@example.com`;
    expect(await call("reachesOut", { url: other.url.href, to })).toEqual([
      200,
      {
        status: 201,
        body: "ping pong",
        refused: "FetchError",
        lost: true,
        badMail: "INVALID_ARGS",
        jobId: expect.any(String),
      },
    ]);
    expect((await mail.to(to)).html).toContain("<p>&lt;b&gt;</p>");
    const trace = await newestTrace("reachesOut");
    expect(trace["ops"]).toMatchObject([
      { op: "fetch", entity: other.url.host, ok: true },
      { op: "fetch", entity: "127.0.0.1:1", ok: false },
    ]);
    const { text } = await admin.request("GET", "/api/admin/logs?limit=100");
    const line = text.split("\n").find((one) => one.includes(String(trace["request_id"])));
    expect(line).toContain('"item":"milk","odd":"(function)","function":"reachesOut"');
  });

  test("a function can read only its own secrets", async () => {
    const names = ["NOT_SET", "OTHERS_KEY", "REGION", "PYLON_ADMIN_TOKEN"];
    expect(await call("keyed", { names })).toEqual([
      200,
      {
        own: "k1",
        refused: ["Error", "TypeError", "TypeError", "TypeError"],
        env: [null, null, "here", null],
      },
    ]);
    expect(await call("otherKeyed")).toEqual([200, "k2"]);
  });

  test("a stream waits for its reader, and one that does not wait is bounded", async () => {
    for (const waits of [true, false]) {
      const before = await countItems();
      const { length: ended } = await tracesOf("tells");
      const text = await slowRead(server.url, { mib: 24, waits }, async () => {
        await until(async () => (await countItems()) > before);
        // Nothing reads the stream meanwhile.
        if (waits) for (let turn = 0; turn < 20; turn += 1) await countItems();
        else await until(async () => (await tracesOf("tells")).length > ended);
      });
      const isWhole = text.includes('event: result\ndata: "told"');
      expect([waits, isWhole, text.length > 24 * MIB]).toEqual([waits, waits, waits]);
    }
    expect(await newestTrace("tells")).toMatchObject({ outcome: { code: "STREAM_TOO_SLOW" } });
  });

  test("a client that disconnects ends the call", async () => {
    const { length: before } = await tracesOf("tells");
    const aborting = new AbortController();
    const response = await fetch(`${server.url}/api/fn/tells`, {
      method: "POST",
      headers: { Accept: "text/event-stream" },
      body: JSON.stringify({ mib: 100_000, waits: true }),
      signal: aborting.signal,
    });
    await response.body?.getReader().read();
    aborting.abort();
    await until(async () => (await tracesOf("tells")).length > before);
    expect(await newestTrace("tells")).toMatchObject({ outcome: { status: "error" } });
  });

  test("an HTTP function runs in the server, and the functions it calls in a process", async () => {
    const response = await fetch(`${server.url}/hello/ann`);
    expect(response.status).toBe(200);
    const { name, here, there } = (await response.json()) as Record<string, unknown>;
    expect([name, here === process.pid]).toEqual(["ann", true]);
    expect(there === process.pid).toBe(mode === "never");
  });
});

/** Requests a stream over a socket from which nothing is read until `meanwhile` has ended. */
async function slowRead(
  url: string,
  args: object,
  meanwhile: () => Promise<void>,
): Promise<string> {
  const { hostname, port, host } = new URL(url);
  const socket: Socket = connect(Number(port), hostname);
  const body = JSON.stringify(args);
  socket.pause();
  socket.write(
    `POST /api/fn/tells HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
  await meanwhile();
  let text = "";
  socket.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    socket.on("data", (part: unknown) => (text += String(part)));
    socket.on("close", () => resolve(text));
    socket.on("error", (error) => (text === "" ? reject(error) : resolve(text)));
    socket.resume();
  });
}
