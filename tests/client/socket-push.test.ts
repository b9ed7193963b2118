import { MAX_SOCKET_PUSH_LENGTH } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  systemPlatform,
  type Platform,
  type Socket,
  type SyncEngine,
} from "@pylonsync/sync";
import { afterEach, beforeAll, afterAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { tappedSocket } from "../support/tapped-socket.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// Writes of an engine that has its own connection of version 2: small ones go over the socket.

const app = appOf(
  buildManifest({
    name: "socket-push",
    version: "1.0.0",
    entities: [
      entity("Note", { text: field.string(), n: field.int(), ownerId: field.string().owner() }),
    ],
    policies: [
      policy({
        name: "own",
        entity: "Note",
        allow: "auth.userId == data.ownerId && data.text != 'bad'",
      }),
    ],
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());
const cleanups: (() => unknown)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

/** What passes between an engine and its server, and what happens to it. */
interface Network {
  /** Ways of the pushes that were sent, in order. */
  readonly ways: ("socket" | "http")[];
  /** The codes with which sockets were closed. */
  readonly closes: number[];
  /** Called with each text that the server sends over a socket. @returns the text to pass on */
  onText: (text: string, socket: Socket) => string | null;
}

function watched(network: Network): Partial<Platform> {
  return {
    fetch: (url, init) => {
      if (new URL(url).pathname === "/api/sync/push") network.ways.push("http");
      return systemPlatform.fetch(url, init);
    },
    openSocket: (url, protocols) =>
      tappedSocket(url, protocols, {
        onSend: (text, pass) => {
          if (text.includes('"type":"push"')) network.ways.push("socket");
          pass();
        },
        onMessage: (text, pass, socket) => {
          const passed = network.onText(text, socket);
          if (passed !== null) pass(passed);
        },
        onClose: (code) => network.closes.push(code),
      }),
  };
}

interface Page {
  readonly engine: SyncEngine;
  readonly user: TestClient;
  readonly network: Network;
}

async function open(onText: Network["onText"] = (text) => text): Promise<Page> {
  const user = await TestClient.guest(server.url);
  const network: Network = { ways: [], closes: [], onText };
  const engine = createSyncEngine(server.url, {
    sync: "queries",
    token: user.token ?? "",
    appName: `socket-push-${user.userId}`,
    reconnectDelay: 30,
    persist: false,
    storage: createWriteThroughStorage({}, () => undefined),
    platform: { ...watched(network), tabs: null },
  });
  engine.start();
  cleanups.push(() => engine.stop());
  const notes = engine.query("Note", {});
  cleanups.push(notes.subscribe(() => undefined));
  await until(() => notes.isReady() === true);
  return { engine, user, network };
}

async function write({ engine }: Page, text: string, n = 1): Promise<string> {
  const id = await engine.insert("Note", { text, n });
  await engine.flushed();
  return id;
}

async function rowsOf({ user }: Page): Promise<unknown[]> {
  const { body } = await user.request("GET", "/api/entities/Note");
  return (body["data"] as { text: string; n: number }[]).map(({ text, n }) => [text, n]);
}

test("small writes go over the socket, and large ones over HTTP", async () => {
  const page = await open();
  await write(page, "small");
  const large = "x".repeat(MAX_SOCKET_PUSH_LENGTH);
  await write(page, large);
  expect(page.network.ways).toEqual(["socket", "http"]);
  expect(await rowsOf(page)).toEqual([
    ["small", 1],
    [large, 1],
  ]);
});

test("a write that the server refuses is rolled back", async () => {
  const page = await open();
  const refused: string[] = [];
  page.engine.onError(({ code }) => refused.push(code));
  await expect(write(page, "bad")).rejects.toThrow();
  expect(refused).toEqual(["POLICY_DENIED"]);
  expect(page.engine.store.list("Note")).toEqual([]);
  expect(page.network.ways).toEqual(["socket"]);
});

test("writes in quick succession do not exceed what a socket may send", async () => {
  const page = await open();
  for (let n = 0; n < 300; n += 1) await write(page, `${n}`, n);
  expect(page.network.ways).toContain("socket");
  // The server closes a socket that sends too often with 1008.
  expect(page.network.closes).not.toContain(1008);
  expect((await rowsOf(page)).length).toBe(300);
});

test("a write whose response is lost with the socket is applied once", async () => {
  let isCut = false;
  const page = await open((text, socket) => {
    if (isCut || !text.includes('"type":"pushed"')) return text;
    isCut = true;
    socket.close();
    return null;
  });
  const id = await write(page, "once");
  await page.engine.increment("Note", id, "n");
  await page.engine.flushed();
  expect(isCut).toBe(true);
  expect(page.network.ways.length).toBeGreaterThanOrEqual(3);
  expect(await rowsOf(page)).toEqual([["once", 2]]);
});

test("a server that does not accept pushes on a socket gets them over HTTP", async () => {
  const page = await open((text) => text.replace('"push":true,', ""));
  await write(page, "old");
  expect(page.network.ways).toEqual(["http"]);
});

test("a socket that was opened as another user is not used", async () => {
  const page = await open();
  const next = await TestClient.guest(server.url);
  await write(page, "first");
  page.engine.session.setToken(next.token);
  await write(page, "second");
  expect(await rowsOf(page)).toEqual([["first", 1]]);
  expect(await rowsOf({ ...page, user: next })).toEqual([["second", 1]]);
});
