import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import { TestClient, until } from "../support/client.ts";
import { processorWaitMs } from "../support/processor-wait.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { isolatesOf } from "../support/reader-processes.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";

// Handlers in separate processes: how they can affect others, and that `ctx` is the same.

const APP = join(import.meta.dir, "../support/isolated-app");
/**
 * The longest that a call may wait because of another handler, in milliseconds. What it waits for a
 * processor does not count: a machine that is busy with other tests delays it too.
 */
const MAX_STALL_MS = 100;
/** The same while 48 clients keep the machine busy, and new processes start. */
const MAX_STALL_AMONG_MANY_MS = 500;
const MAX_TRIES = 4;

function start(env: Readonly<Record<string, string>>): Promise<TestServer> {
  return loadApp(APP, { dev: false }).then((app) => startServer(app, env));
}

async function call(
  server: TestServer,
  name: string,
  args: unknown = {},
): Promise<{ readonly status: number; readonly value: unknown; readonly code: unknown }> {
  const { status, text } = await new TestClient(server.url, null).request(
    "POST",
    `/api/fn/${name}`,
    args,
  );
  const value: unknown = JSON.parse(text);
  const { error } = Object(value) as { readonly error?: { readonly code?: unknown } };
  return { status, value, code: error?.code };
}

async function newestTrace(server: TestServer, name: string): Promise<Record<string, unknown>> {
  const { body } = await new TestClient(server.url, ADMIN_TOKEN).request("GET", "/api/fn/traces");
  const traces = body as unknown as Record<string, unknown>[];
  const trace = traces.find(({ fn_name }) => fn_name === name);
  if (trace === undefined) throw new Error(`No call of ${name} was traced.`);
  return trace;
}

describe.each(["never", "always"])("with isolation %s", (mode) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await start({ PYLON_FUNCTION_ISOLATION: mode, REGION: "here" });
  });
  afterAll(() => server.stop());

  test("it runs in the process that it should", async () => {
    const { value } = await call(server, "where");
    expect(value === process.pid).toBe(mode === "never");
    expect((await newestTrace(server, "where"))["isolated"]).toBe(mode === "always");
  });

  test("a mutation sees its own writes, and leaves nothing when it fails", async () => {
    const before = Number((await call(server, "count")).value);
    for (const [end, code] of [
      ["refuse", "SOLD_OUT"],
      ["break", "HANDLER_ERROR"],
      ["not json", "HANDLER_ERROR"],
    ]) {
      expect((await call(server, "add", { n: 1, end })).code).toBe(code);
      expect((await call(server, "count")).value).toBe(before);
    }
    expect((await call(server, "add", { n: 1 })).value).toEqual({
      isSeen: true,
      count: before + 1,
      userId: null,
    });
  });

  test("a database error keeps its code, whether caught or not", async () => {
    expect((await call(server, "addTwice", { n: 2, catches: true })).value).toBe("INVALID_ID");
    expect((await call(server, "addTwice", { n: 3, catches: false })).code).toBe(
      "UNIQUE_VIOLATION",
    );
    expect(await call(server, "readsNothing")).toMatchObject({ status: 400 });
  });

  test("an action has its calls, its stream, the cache, the scheduler and the env", async () => {
    const response = await fetch(`${server.url}/api/fn/members`, {
      method: "POST",
      headers: { Accept: "text/event-stream" },
      body: JSON.stringify({ n: 4 }),
    });
    const events = (await response.text()).split("\n\n").filter((event) => event !== "");
    expect(events.slice(0, 2)).toEqual(["data: first", "event: half\ndata: second"]);
    const result: unknown = JSON.parse(events.at(-1)?.split("data: ")[1] ?? "");
    const items = Number((await call(server, "count")).value);
    expect(result).toEqual({
      counted: items,
      failed: "SOLD_OUT",
      missed: true,
      made: { items },
      isCancelled: true,
      region: "here",
      secret: null,
      hasRequestId: true,
      isAborted: false,
      when: "1970-01-01T00:00:00.000Z",
      job: null,
    });
    expect((await call(server, "chance")).value).toEqual({ uuid: true, random: true, now: true });
  });

  test("an action knows its job, also after a call without one", async () => {
    expect((await call(server, "reports")).value).toBeNull();
    const admin = new TestClient(server.url, ADMIN_TOKEN);
    const { body } = await admin.request("POST", "/api/jobs", { name: "reports" });
    const id = String(body["id"]);
    const job = async (): Promise<Record<string, unknown>> =>
      (await admin.request("GET", `/api/jobs/${id}`)).body;
    await until(async () => (await job())["status"] === "completed");
    const note = `attempt 1 of ${id}, batch null`;
    expect(await job()).toMatchObject({ progress: { fraction: 0.5, note } });
  });

  test("a live function is updated on changes, and each user gets their own result", async () => {
    const clients = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
    const items = Number((await call(server, "count")).value);
    const live = await Promise.all(
      clients.map(async (client) => {
        const socket = await QuerySocket.open(client);
        const id = socket.call("own", {});
        await socket.told(id, 1);
        return { client, socket, id };
      }),
    );
    await call(server, "add", { n: 7 });
    for (const { client, socket, id } of live) {
      const [first, second] = (await socket.told(id, 2)) as Record<string, unknown>[];
      const { userId } = client;
      expect(first).toEqual({ userId, items, drawn: expect.any(String) });
      expect(second).toEqual({ userId, items: items + 1, drawn: first?.["drawn"] });
      socket.socket.close();
    }
  });

  test("a trace has the database calls, the console output, the stream and schedules", async () => {
    await call(server, "add", { n: 5 });
    const added = await newestTrace(server, "add");
    expect(added).toMatchObject({
      fn_type: "mutation",
      user_id: null,
      outcome: { status: "ok" },
      ops_total: 3,
      console: [{ level: "log", text: "adding 5" }],
      schedules: [{ fn_name: "add" }],
    });
    const ops = added["ops"] as { readonly op: string; readonly duration_ms: number }[];
    expect(ops.map(({ op }) => op)).toEqual(["insert", "get", "count"]);
    expect(ops.every((op) => op.duration_ms >= 0 && op.duration_ms < 60_000)).toBe(true);
    expect(await newestTrace(server, "members")).toMatchObject({
      console: [{ level: "warn", text: "in an action { n: 4 }" }],
      stream_bytes: 11,
      stream_chunks: 2,
    });
    await call(server, "add", { n: 6, end: "break" });
    expect(await newestTrace(server, "add")).toMatchObject({
      outcome: { status: "error", code: "HANDLER_ERROR", message: "Error" },
    });
  });
});

/** The processes that have answered, and what they had waited for a processor until then. */
const waited = new Map<number, number>();

/** Calls a function. @returns how long it took, without the time that it waited for a processor */
async function timeOf(server: TestServer, name: string): Promise<number> {
  const [own, others] = [processorWaitMs(), new Map(waited)];
  const started = performance.now();
  const { status, value } = await call(server, name);
  const took = performance.now() - started;
  expect(status).toBe(200);
  let waits = processorWaitMs() - own;
  if (name === "whereIsolated") {
    const pid = Number(value);
    waited.set(pid, processorWaitMs(pid));
    for (const known of others.keys()) waited.set(known, processorWaitMs(known));
    waits += (waited.get(pid) ?? 0) - (others.get(pid) ?? 0);
  }
  return took - waits;
}

/** What a call does to its process. */
type Harm = "loops" | "exits" | "allocates";
/** The server of the harmful handlers. */
let server: TestServer;

/** Waits until at least this many processes accept calls; one more is a reserve. */
function processesReady(count: number): Promise<void> {
  return until(async () => {
    const calls = Array.from({ length: 12 }, () => call(server, "whereIsolated"));
    const pids = new Set((await Promise.all(calls)).map(({ value }) => Number(value)));
    for (const pid of pids) waited.set(pid, processorWaitMs(pid));
    return pids.size >= count;
  });
}

/** Calls other functions while `harm` runs. @returns the longest time that a call took */
async function longestOthers(harm: Promise<unknown>): Promise<number> {
  let isOver = false;
  let longest = 0;
  const over = harm.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    for (const name of ["count", "whereIsolated"])
      longest = Math.max(longest, await timeOf(server, name));
    await Bun.sleep(10);
  }
  await over;
  return longest;
}

/**
 * Runs `harm`, and checks that other calls do not wait for it. A busy machine may delay a call
 * too, but not on each try.
 */
async function othersAreServed<T>(harm: () => Promise<T>): Promise<T> {
  let longest = Infinity;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    await processesReady(3);
    const harmed = harm();
    longest = Math.min(longest, await longestOthers(harmed));
    if (longest < MAX_STALL_MS) return harmed;
  }
  throw new Error(`Others waited for ${longest} ms.`);
}

/**
 * Calls a quick function many times at once, so that its processes are given calls ahead of time,
 * and lets two of the calls harm their process.
 *
 * @returns the longest time of a quick call
 */
async function longestAmongQuick(harm?: Harm): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "pylon-moody-"));
  const file = join(folder, "runs");
  let id = 0;
  let longest = 0;
  const quick = async (): Promise<void> => {
    for (let more = 0; more < 20; more += 1) {
      const own = (id += 1);
      const [started, waitedBefore] = [performance.now(), processorWaitMs()];
      const { value } = await call(server, "moody", { id: own, mood: "quick", file });
      const waits = processorWaitMs() - waitedBefore;
      longest = Math.max(longest, performance.now() - started - waits);
      expect(value).toBe(own);
    }
  };
  const clients = Array.from({ length: 48 }, quick);
  const harmful = harm === undefined ? [] : [-2, -1];
  const harms = harmful.map((own) => call(server, "moody", { id: own, mood: harm, file }));
  await Promise.all(clients);
  for (const { code } of await Promise.all(harms))
    expect(code).toBe(harm === "loops" ? "FN_TIMEOUT" : "HANDLER_CRASH");
  const runs = readFileSync(file, "utf8").trim().split("\n").map(Number);
  expect(runs.toSorted((one, other) => one - other)).toEqual([
    ...harmful,
    ...Array.from({ length: id }, (_, index) => index + 1),
  ]);
  rmSync(folder, { recursive: true });
  return longest;
}

/** Checks that quick calls of a function do not wait for a harmful call of it. */
async function expectNoStall(harm: Harm): Promise<void> {
  let stall = Infinity;
  // A busy machine may delay a call too, but not on each try.
  for (let tries = 0; stall > MAX_STALL_AMONG_MANY_MS && tries < MAX_TRIES; tries += 1) {
    await processesReady(3);
    const usual = await longestAmongQuick();
    stall = Math.min(stall, (await longestAmongQuick(harm)) - usual);
  }
  expect(stall).toBeLessThan(MAX_STALL_AMONG_MANY_MS);
}

const AMONG_MANY = "each other call runs once, without waiting";
/** The function does not use the store, so the tests on Postgres need not repeat it. */
const HARMS_AMONG_MANY: readonly Harm[] =
  process.env["PYLON_TEST_STORE"] === "postgres" ? [] : ["loops", "exits", "allocates"];

describe("a harmful handler", () => {
  beforeAll(async () => {
    server = await start({ PYLON_FN_CALL_TIMEOUT: "2" });
    await processesReady(3);
  });
  afterAll(() => server.stop());

  test("that loops: others do not wait, and its process ends at the timeout", async () => {
    const processes = isolatesOf(process.pid);
    const spin = await othersAreServed(() => call(server, "spin"));
    expect(spin).toMatchObject({ status: 504, code: "FN_TIMEOUT" });
    await until(() => processes.some((pid) => !isolatesOf(process.pid).includes(pid)));
    expect(await call(server, "whereIsolated")).toMatchObject({ status: 200 });
  });

  test("that loops in a transaction: it is rolled back, and others can read meantime", async () => {
    const before = (await call(server, "count")).value;
    const spin = await othersAreServed(() => call(server, "spinAfterWrite"));
    expect(spin).toMatchObject({ code: "FN_TIMEOUT" });
    expect((await call(server, "count")).value).toBe(before);
    expect((await call(server, "add", { n: 10 })).status).toBe(200);
  });

  test("with more calls than processes: other functions have processes of their own", async () => {
    const stuck = await othersAreServed(() =>
      Promise.all(Array.from({ length: 4 }, () => call(server, "spin"))),
    );
    for (const { code } of stuck) expect(code).toBe("FN_TIMEOUT");
    expect(isolatesOf(process.pid).length).toBeLessThanOrEqual(4);
  });

  test("that never returns: its process is not kept busy after the timeout", async () => {
    expect(await call(server, "waits")).toMatchObject({ code: "FN_TIMEOUT" });
    await until(async () => (await call(server, "whereIsolated")).status === 200);
  });

  test.each(HARMS_AMONG_MANY.filter((harm) => harm === "loops"))(
    `among many calls of the same function, when it %s: ${AMONG_MANY}`,
    expectNoStall,
    60_000,
  );
});

// A busy machine needs longer for that than the short timeout.
describe("a handler that ends its process", () => {
  beforeAll(async () => {
    server = await start({ PYLON_FN_CALL_TIMEOUT: "60" });
    await processesReady(3);
  });
  afterAll(() => server.stop());

  test("that allocates 500 MB: only its own call fails", async () => {
    const eat = await othersAreServed(() => call(server, "eat"));
    expect(eat).toMatchObject({ status: 500, code: "HANDLER_CRASH" });
    expect(JSON.stringify(eat.value)).toContain("more than 256 MiB");
  });

  test("that ends its process: only its own call fails, and it is rolled back", async () => {
    const before = (await call(server, "count")).value;
    const [exits, aborts, other] = await Promise.all([
      call(server, "exits"),
      call(server, "aborts"),
      call(server, "whereIsolated"),
    ]);
    expect(exits).toMatchObject({ status: 500, code: "HANDLER_CRASH" });
    expect(JSON.stringify(exits.value)).toContain("exit code 3");
    expect(aborts).toMatchObject({ status: 500, code: "HANDLER_CRASH" });
    expect(other.status).toBe(200);
    expect((await call(server, "count")).value).toBe(before);
  });

  test.each(HARMS_AMONG_MANY.filter((harm) => harm !== "loops"))(
    `among many calls of the same function, when it %s: ${AMONG_MANY}`,
    expectNoStall,
    60_000,
  );
});

test("a function that blocks the server once stays isolated, after a restart too", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pylon-isolation-"));
  const env = { PYLON_IN_MEMORY: "0", PYLON_DB_PATH: join(folder, "isolated.db") };
  const server = await start(env);
  expect((await call(server, "blocks")).value).toBe(process.pid);
  expect((await call(server, "blocks")).value).not.toBe(process.pid);
  await server.stop();
  const restarted = await start(env);
  expect((await call(restarted, "blocks")).value).not.toBe(process.pid);
  expect(await newestTrace(restarted, "blocks")).toMatchObject({ isolated: true });
  await restarted.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("no process outlives its server", async () => {
  const server = await start({});
  await call(server, "whereIsolated");
  expect(isolatesOf(process.pid).length).toBeGreaterThan(0);
  await server.stop();
  expect(isolatesOf(process.pid)).toEqual([]);
});
