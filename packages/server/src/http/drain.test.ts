import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { systemPlatform } from "../platform.ts";
import { drain } from "./drain.ts";

/** Longer than any test may take: an earlier end has another cause. */
const NEVER_MS = 600_000;

let release: () => void = () => undefined;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  release();
  for (const close of closers.splice(0)) await close();
});

function open(): Bun.Server<undefined> {
  const { promise, resolve } = Promise.withResolvers<void>();
  release = resolve;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    routes: {
      "/refuse": () => new Response("refused", { status: 413 }),
      "/slow": async () => {
        await promise;
        return new Response("the whole answer");
      },
      "/large": () => new Response("x".repeat(8_000_000)),
    },
    fetch: () => new Response("other"),
  });
  closers.push(() => server.stop(true));
  return server;
}

interface Client {
  readonly socket: Socket;
  read(): string;
  until(isThere: (text: string) => boolean): Promise<void>;
  readonly ended: Promise<void>;
}

async function send(server: Bun.Server<undefined>, text: string): Promise<Client> {
  const socket = connect(server.port ?? 0, "127.0.0.1");
  closers.push(() => socket.destroy());
  let got = "";
  let look: () => void = () => undefined;
  socket.on("data", (bytes) => {
    got += bytes.toString();
    look();
  });
  socket.on("error", () => undefined);
  const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  await new Promise<void>((resolve) =>
    socket.on("connect", () => socket.write(text, () => resolve())),
  );
  return {
    socket,
    ended,
    read: () => got,
    until: (isThere) =>
      new Promise((resolve) => {
        look = () => {
          if (isThere(got)) resolve();
        };
        look();
      }),
  };
}

/**
 * Resolves when the server has read what was sent before, because it has responded to what was sent
 * after.
 */
async function received(server: Bun.Server<undefined>): Promise<void> {
  for (let n = 0; n < 3; n += 1) await (await fetch(new URL("/other", server.url))).text();
}

const head = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

test("a connection that sends more of an upload after its rejection delays nothing", async () => {
  const server = open();
  const client = await send(
    server,
    "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegin",
  );
  await client.until((text) => text.includes("refused"));
  await new Promise<void>((resolve) => client.socket.write("more", () => resolve()));
  await received(server);
  await drain([server], systemPlatform, NEVER_MS);
  await client.ended;
});

test("half of a request's head delays nothing", async () => {
  const server = open();
  const client = await send(server, "GET /slow HTTP/1.1\r\nHo");
  await received(server);
  await drain([server], systemPlatform, NEVER_MS);
  await client.ended;
});

test("a pending response is completed, however quiet it is and whatever hangs", async () => {
  const server = open();
  const client = await send(server, head("/slow"));
  await send(server, "GET /slow HTTP/1.1\r\nHo");
  while (server.pendingRequests === 0) await Bun.sleep(1);
  let looks = 0;
  // A platform on which a second passes with each check.
  const platform = {
    ...systemPlatform,
    monotonic: () => 1000 * (looks += 1),
    every: (_: number, work: () => void) => systemPlatform.every(1, work),
  };
  const drained = drain([server], platform, NEVER_MS);
  while (looks < 10) await Bun.sleep(1);
  expect(client.read()).toBe("");
  release();
  await drained;
  await client.ended;
  expect(client.read()).toEndWith("the whole answer");
});

test("a response that its reader consumes slowly is sent to its end", async () => {
  const server = open();
  const client = await send(server, head("/large", "Connection: close\r\n"));
  client.socket.pause();
  while (server.pendingRequests === 0) await Bun.sleep(1);
  const drained = drain([server], systemPlatform, NEVER_MS);
  await Bun.sleep(50);
  client.socket.resume();
  await client.ended;
  await drained;
  expect(client.read().length).toBeGreaterThan(8_000_000);
});

test("a response that is not completed in time is aborted", async () => {
  const server = open();
  const client = await send(server, head("/slow"));
  while (server.pendingRequests === 0) await Bun.sleep(1);
  await drain([server], systemPlatform, 20);
  await client.ended;
  expect(client.read()).toBe("");
});
