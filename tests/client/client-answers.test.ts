import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { signInWithPassword } from "@pylonsync/react";
import {
  HttpClient,
  PylonClientError,
  streamFunction,
  systemPlatform,
  type SyncEngine,
} from "@pylonsync/sync";
import {
  page,
  refusal,
  SERVER,
  TOKEN,
  VirtualMachine,
  type Push,
} from "../support/virtual-machine.ts";

// How the client handles responses: the rows of the table in docs/sync.md are the cases.

const cleanups: (() => unknown)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

const RECONNECT_MS = 200;
/** The longest pause, plus the polling interval of a test. */
const MAX_PAUSE_MS = RECONNECT_MS * 8 + 100;
const NAMED_SECS = 12;
/** The timeout of a request without a response. */
const GIVEN_UP_MS = 21_000;

async function connect(machine: VirtualMachine): Promise<SyncEngine> {
  const engine = machine.engine({ reconnectDelay: RECONNECT_MS });
  cleanups.push(() => engine.stop());
  engine.start();
  await machine.until(() => engine.connected, 1_000);
  return engine;
}

interface Case {
  /** Responds to a push instead of the server; undefined where the server itself responds. */
  readonly answer?: (
    body: string,
    machine: VirtualMachine,
  ) => Response | Promise<Response> | undefined;
  /** Every request gets this response, not only pushes. */
  readonly toAll?: true;
  readonly row?: Readonly<Record<string, unknown>>;
}

const forOne = (answer: () => Response) => (body: string) =>
  body.includes('"id-7"') ? answer() : undefined;
const inForm = (...errors: readonly (readonly [number, string])[]): Case[] =>
  errors.map(([status, code]) => ({ answer: () => refusal(status, code) }));
const pages = (...statuses: readonly number[]): Case[] =>
  statuses.map((status) => ({ answer: () => page(status), toAll: true }));
const redirected = (response: Response, url: string): Response =>
  Object.defineProperties(response, { redirected: { value: true }, url: { value: url } });

/** The key is the first cell of a row. */
const CASES: Readonly<Record<string, readonly Case[]>> = {
  "2xx, the change is applied": [{}],
  "2xx, the change is rejected": [{ row: { refused: true } }],
  "4xx in Pylon's format, because of one change": [
    [400, "INVALID_DATA"] as const,
    [400, "INVALID_JSON"] as const,
    [403, "FORBIDDEN"] as const,
    [409, "CONFLICT"] as const,
    [410, "RESYNC_REQUIRED"] as const,
    [422, "OF_A_LATER_VERSION"] as const,
  ].map(([status, code]) => ({ answer: forOne(() => refusal(status, code)) })),
  "413 in Pylon's format, because of one change": [
    { answer: forOne(() => refusal(413, "PAYLOAD_TOO_LARGE")) },
  ],
  "401 in Pylon's format": [
    {
      answer: (_, machine) => {
        machine.isTokenKnown = false;
        return refusal(401, "UNAUTHORIZED");
      },
    },
  ],
  "404, 405, 426 in Pylon's format": inForm(
    [404, "NOT_FOUND"],
    [405, "METHOD_NOT_ALLOWED"],
    [426, "UPGRADE_REQUIRED"],
  ),
  "403 `ORIGIN_REJECTED`, `HOST_REJECTED`, `CSRF_REJECTED` in Pylon's format": inForm(
    [403, "ORIGIN_REJECTED"],
    [403, "HOST_REJECTED"],
    [403, "CSRF_REJECTED"],
  ),
  "408, 429 or 5xx in Pylon's format": inForm(
    [408, "REQUEST_TIMEOUT"],
    [429, "RATE_LIMITED"],
    [500, "INTERNAL"],
    [503, "STORAGE_UNAVAILABLE"],
    [504, "FN_TIMEOUT"],
  ),
  "429 or 503 in Pylon's format with `retry_after_secs`": [
    [429, "RATE_LIMITED"] as const,
    [503, "OVERLOADED"] as const,
  ].map(([status, code]) => ({
    answer: () => refusal(status, code, { retry_after_secs: NAMED_SECS }),
  })),
  "413 from a proxy": [{ answer: () => page(413) }],
  "401, 403, 404, 405, 407, 409, 411, 414, 431, 451 or 5xx from a proxy or a captive portal": pages(
    ...[401, 403, 404, 405, 407, 409, 411, 414, 431, 451, 500, 502, 503, 504, 511],
  ),
  "503 from a proxy with `Retry-After`": [
    { answer: () => page(503, { "Retry-After": String(NAMED_SECS) }) },
  ],
  "an empty 4xx or 5xx": [400, 401, 403, 404, 410, 502].map((status) => ({
    answer: () => new Response(null, { status }),
    toAll: true,
  })),
  "200 with a page of a captive portal": pages(200),
  "200 with other JSON": [
    {},
    { results: [] },
    { applied: 1, deduped: 0, errors: [], cursor: { last_seq: 1 } },
  ].map((json) => ({ answer: () => Response.json(json) })),
  "a redirect to another server": [
    { answer: () => redirected(Response.json({}), "https://portal.example/api/sync/push") },
    { answer: () => new Response(null, { status: 302, headers: { Location: "https://portal" } }) },
  ],
  "an error after a redirect": [
    { answer: () => redirected(refusal(400, "INVALID_DATA"), `${SERVER}/api/sync/push/`) },
  ],
  "a network error": [{ answer: () => Promise.reject(new TypeError("no network")), toAll: true }],
  "no response": [{ answer: () => new Promise(() => undefined) }],
};

const [, section = ""] = readFileSync(
  join(import.meta.dir, "..", "..", "docs", "sync.md"),
  "utf8",
).split("## How responses are handled\n");
const table = section
  .slice(0, section.indexOf("\n## "))
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) => line.split(" | ").map((cell) => cell.replaceAll(/^\| | \|$/g, "")))
  .slice(1)
  .map(
    ([answer = "", write = "", token = "", again = ""]) => [answer, write, token, again] as const,
  );

test("C2: the cases are the rows of the table in the docs", () => {
  expect(table.map(([answer]) => answer)).toEqual(Object.keys(CASES));
});

describe.each(table)("C2: %s", (answer, write, token, again) => {
  test.each(CASES[answer] ?? [])(
    `a write is ${write}, the token ${token} (case %#)`,
    async (given) => {
      const machine = new VirtualMachine();
      const engine = await connect(machine);
      const refused: string[] = [];
      engine.onError(({ rowId }) => refused.push(rowId));
      machine.intercept = (path, body) =>
        given.toAll === true || path.endsWith("/push") ? given.answer?.(body, machine) : undefined;
      const ids = Array.from({ length: 12 }, (_, n) => `id-${n}`);
      await Promise.all(
        ids.map((id) => engine.insert("Note", { id, ...(id === "id-7" ? given.row : {}) })),
      );
      const first = machine.now;
      await machine.advance(answer === "no response" ? GIVEN_UP_MS : 0);

      if (write === "rolled back" || write === "confirmed") {
        await machine.until(() => engine.mutations.all().length === 0, MAX_PAUSE_MS);
        expect(refused).toEqual(write === "confirmed" ? [] : ["id-7"]);
        expect(machine.rows().toSorted()).toEqual(
          ids.filter((id) => !refused.includes(id)).toSorted(),
        );
      } else {
        expect(engine.mutations.pending()).toHaveLength(ids.length);
      }
      expect(machine.storage.get("pylon_token")).toBe(token === "kept" ? TOKEN : null);
      if (write === "kept") await expectAgain(machine, engine, again, first);
    },
  );
});

/** Removes the cause of the failure, and checks when the writes get through. */
async function expectAgain(
  machine: VirtualMachine,
  engine: SyncEngine,
  again: string,
  first: number,
): Promise<void> {
  const pushes = (): readonly Push[] => machine.pushes;
  if (again === "after a sign-in") {
    machine.intercept = () => undefined;
    const count = pushes().length;
    await machine.advance(60_000);
    expect(engine.status.connection).toBe("unauthorized");
    expect(pushes()).toHaveLength(count);
    // The session is valid again: the user's writes were kept for them.
    machine.isTokenKnown = true;
    engine.setToken(TOKEN);
  } else if (again === "after the given time") {
    machine.intercept = () => undefined;
    const count = pushes().length;
    await machine.advance(first + NAMED_SECS * 1000 - machine.now - 1);
    // Neither a new write nor an `online` event ends the wait.
    machine.goOnline();
    await engine.insert("Note", { id: "later" });
    expect(pushes()).toHaveLength(count);
  } else {
    expect(again).toBe("after a pause");
    await machine.advance(2_000);
    machine.intercept = () => undefined;
  }
  await machine.until(() => engine.mutations.all().length === 0, 2 * GIVEN_UP_MS);
  expect(machine.rows().length).toBeGreaterThanOrEqual(12);
}

describe.each([
  ["a page of a portal", () => page(200)],
  ["a 401 of a proxy", () => page(401)],
  ["a 404 of a proxy", () => page(404)],
  ["an empty 502", () => new Response(null, { status: 502 })],
  ["JSON of something else", () => Response.json({ message: "Forbidden" }, { status: 403 })],
])("C2: %s is not taken for a response of the server", (_, answer) => {
  const notTheServer = { name: "PylonClientError", code: "UNEXPECTED_ANSWER", status: 0 };

  test("on a session, a sign-in, a call, a stream and a room", async () => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    machine.intercept = answer;
    await expect(engine.refreshResolvedSession()).rejects.toMatchObject(notTheServer);
    await expect(engine.signInAsGuest()).rejects.toMatchObject(notTheServer);
    await expect(signInWithPassword("a@b.c", "secret", { sync: engine })).rejects.toMatchObject(
      notTheServer,
    );
    const called = engine.fn("add").catch((error: unknown) => error);
    await machine.advance(5_000);
    expect(await called).toMatchObject(notTheServer);
    const http = new HttpClient(SERVER, { ...systemPlatform, ...machine.platform }, () => TOKEN);
    await expect(streamFunction(http, "add", {}).next()).rejects.toMatchObject(notTheServer);
    const room = engine.joinRoom("lobby", "ann");
    await machine.advance(0);
    expect(room.state.error).toMatchObject(notTheServer);
    await room.leave();
    expect(machine.storage.get("pylon_token")).toBe(TOKEN);
    expect(engine.resolvedSession().userId).toBe("ann");
  });

  test.each(["websocket", "sse", "poll"] as const)(
    "while connecting over %s",
    async (transport) => {
      const machine = new VirtualMachine();
      machine.insert("a");
      machine.intercept = answer;
      const engine = machine.engine({ reconnectDelay: RECONNECT_MS, transport });
      cleanups.push(() => engine.stop());
      const seen = new Set<string>();
      engine.onStatus(({ connection }) => seen.add(connection));
      engine.start();
      await machine.advance(30_000);
      machine.intercept = () => undefined;
      await machine.until(() => engine.connected, MAX_PAUSE_MS);
      expect([...seen].toSorted()).toEqual(["connecting", "live", "offline"]);
      expect(engine.store.list("Note")).toHaveLength(1);
      expect(machine.storage.get("pylon_token")).toBe(TOKEN);
    },
  );

  test.each(["sse", "poll"] as const)("on a live connection over %s", async (transport) => {
    const machine = new VirtualMachine();
    const engine = machine.engine({ reconnectDelay: RECONNECT_MS, transport });
    cleanups.push(() => engine.stop());
    engine.start();
    await machine.until(() => engine.connected, 1_000);
    machine.intercept = answer;
    machine.cut();
    await machine.advance(2_000);
    expect(engine.status.connection).not.toBe("unauthorized");
    machine.intercept = () => undefined;
    machine.insert("b");
    await machine.until(() => engine.store.list("Note").length === 1, 30_000);
    expect(machine.storage.get("pylon_token")).toBe(TOKEN);
  });
});

test.each([
  ["a page of a portal", () => page(200), 4],
  ["a 404 of a proxy", () => page(404), 4],
  ["a 504 of a proxy", () => page(504), 1],
  ["a network error", () => Promise.reject(new TypeError("no network")), 4],
  ["no answer", () => new Promise<Response>(() => undefined), 1],
  ["the server's 500", () => refusal(500, "HANDLER_ERROR"), 1],
] as const)(
  "C2: after %s a function is called at most as often as it may be",
  async (_, answer, times) => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    machine.intercept = (path) => (path.startsWith("/api/fn/") ? answer() : undefined);
    const called = engine.fn("charge").catch((error: unknown) => error);
    await machine.advance(310_000);
    expect(await called).toBeInstanceOf(PylonClientError);
    expect(machine.requests.filter(({ path }) => path.startsWith("/api/fn/"))).toHaveLength(times);
  },
);

test("C2: only the server's confirmation ends a session, not a proxy's close code", async () => {
  const machine = new VirtualMachine();
  const engine = await connect(machine);
  for (const code of [1008, 4401]) {
    machine.cut(code);
    await machine.advance(0);
    expect(engine.status.connection).not.toBe("unauthorized");
    await machine.until(() => engine.connected, MAX_PAUSE_MS);
  }
  expect(machine.storage.get("pylon_token")).toBe(TOKEN);
  machine.isTokenKnown = false;
  machine.cut(4401);
  await machine.until(() => engine.status.connection === "unauthorized", 100);
  expect(machine.storage.get("pylon_token")).toBeNull();
});
