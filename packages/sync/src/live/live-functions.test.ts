import { LIVE_AGGREGATE, LIVE_JOB, LIVE_PROTOCOL } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { HttpClient } from "../connection/http.ts";
import { Emitter } from "../platform/emitter.ts";
import { systemPlatform, type Platform, type Socket } from "../platform/platform.ts";
import { ANONYMOUS_SESSION } from "../session/session.ts";
// Loaded before, so that it is available immediately.
import { liveFunction, type LiveFunction } from "./live-function.ts";
import { LazyFunctions } from "./lazy-functions.ts";
import { LiveFunctions, type LiveFunctionsOptions } from "./live-functions.ts";

/** A socket whose other end is the test. */
class FakeSocket implements Socket {
  readonly protocols: readonly string[];
  readonly sent: Record<string, unknown>[] = [];
  isClosed = false;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  onerror: Socket["onerror"] = null;

  constructor(protocols: readonly string[]) {
    this.protocols = protocols;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.isClosed = true;
  }

  hello(): this {
    this.onopen?.();
    this.say({ type: "hello", seq: 1, epoch: "log" });
    return this;
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  cut(): void {
    this.onclose?.({ code: 1006, reason: "" });
  }
}

/** A page's live functions, with a clock, sockets and an HTTP server of the test. */
class Page {
  readonly sockets: FakeSocket[] = [];
  readonly calls: { readonly path: string; readonly answer: (response: Response) => void }[] = [];
  readonly functions: LazyFunctions;
  /** Emits when rows have changed. */
  readonly rows = new Emitter<void>();
  hasSockets = true;
  /** Whether the code that connects can be loaded. */
  hasCode = true;
  /** How often its code was requested. */
  loads = 0;
  /** Called when the functions were created, before they are available. */
  onLoad: () => void = () => undefined;
  /** How often it was tried without a socket; this server does not support that. */
  streams = 0;
  token: string | null = "t1";
  #now = 0;
  #ids = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  constructor(hasOwnConnection = true) {
    const platform: Platform = {
      ...systemPlatform,
      now: () => this.#now,
      random: () => 0.5,
      after: (delayMs, run) => {
        const timer = { at: this.#now + delayMs, run };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((one) => one !== timer);
        };
      },
      fetch: (url) => {
        const path = new URL(url).pathname;
        if (path !== "/api/live") return new Promise((answer) => this.calls.push({ path, answer }));
        this.streams += 1;
        const error = { code: "NOT_FOUND", message: "There is nothing." };
        return Promise.resolve(Response.json({ error }, { status: 404 }));
      },
      openSocket: (_url, protocols) => {
        if (!this.hasSockets) throw new Error("There are no sockets.");
        const socket = new FakeSocket(protocols);
        this.sockets.push(socket);
        return socket;
      },
    };
    const token = (): string | null => this.token;
    const options: LiveFunctionsOptions = {
      http: new HttpClient("http://server", platform, token),
      platform,
      session: {
        get token() {
          return token();
        },
      },
      socketUrl: "ws://server/ws",
      reconnectDelay: 1000,
      transport: "websocket",
      hasOwnConnection,
      store: {
        subscribe: (_entity: unknown, listener?: () => void) =>
          this.rows.on(listener ?? (() => undefined)),
      },
      nextId: () => (this.#ids += 1),
      newId: () => "id",
    };
    const onLoad = (): void => this.onLoad();
    class Loaded extends LiveFunctions {
      constructor(given: LiveFunctionsOptions) {
        super(given);
        queueMicrotask(onLoad);
      }
    }
    this.functions = new LazyFunctions(options, () => {
      this.loads += 1;
      return this.hasCode
        ? Promise.resolve({ LiveFunctions: Loaded })
        : Promise.reject(new Error("There is no network."));
    });
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("No socket was opened.");
    return socket;
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const [next] = this.#timers
        .filter(({ at }) => at <= end)
        .toSorted((one, other) => one.at - other.at);
      if (next === undefined) break;
      this.#now = next.at;
      this.#timers = this.#timers.filter((one) => one !== next);
      next.run();
      await settled();
    }
    this.#now = end;
    await settled();
  }

  live(name: string, args: Readonly<Record<string, unknown>>): LiveFunction {
    const { functions } = this;
    return liveFunction(
      { part: { functions }, during: (watch) => watch({ functions }) },
      name,
      args,
    );
  }

  /** Watches a function; the code that connects is loaded by then. */
  async watch(
    name: string,
    args: Readonly<Record<string, unknown>> = {},
  ): Promise<{ readonly seen: unknown[]; readonly stop: () => void }> {
    const live = this.live(name, args);
    const seen: unknown[] = [];
    const stop = live.subscribe(() => {
      const { data, error, loading } = live.getSnapshot();
      seen.push(loading ? "loading" : (error?.code ?? data));
    });
    await settled();
    return { seen, stop };
  }
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 4; turns += 1) await Bun.sleep(0);
}

function started(): Page {
  const page = new Page();
  page.functions.start();
  return page;
}

test("there is a socket while a function is watched, and for a short time afterwards", async () => {
  const page = started();
  expect(page.sockets).toEqual([]);
  const one = await page.watch("f", { a: 1, b: [{ c: 2, d: 3 }] });
  const other = await page.watch("f", { b: [{ d: 3, c: 2 }], a: 1 });
  expect([page.sockets.length, page.socket.sent]).toEqual([1, []]);
  expect(page.socket.protocols).toEqual([LIVE_PROTOCOL, "bearer.t1"]);
  page.socket.hello();
  const args = { a: 1, b: [{ c: 2, d: 3 }] };
  expect(page.socket.sent).toEqual([{ type: "subscribe", id: 1, function: "f", args }]);
  page.socket.say({ type: "joined", id: 1, sub: 7 });
  page.socket.say({ type: "result", sub: 7, seq: 1, value: [1] });
  expect([one.seen, other.seen]).toEqual([[[1]], [[1]]]);
  one.stop();
  other.stop();
  await page.advance(4_000);
  const again = await page.watch("f", args);
  await page.advance(4_000);
  expect([page.socket.isClosed, again.seen]).toEqual([false, []]);
  again.stop();
  await page.advance(5_000);
  expect(page.socket.sent.at(-1)).toEqual({ type: "unsubscribe", id: 1 });
  expect(page.socket.isClosed).toBe(true);
  expect(page.live("f", args).getSnapshot().loading).toBe(true);
});

test("code that can't be loaded is requested again while a function is watched", async () => {
  const page = started();
  page.hasCode = false;
  const { stop } = await page.watch("f");
  await page.advance(4_000);
  page.hasCode = true;
  expect(page.sockets.length).toBe(0);
  await page.advance(1_000);
  expect(page.sockets.length).toBe(1);
  stop();

  const stopped = started();
  stopped.hasCode = false;
  await stopped.watch("f");
  stopped.functions.stop();
  stopped.hasCode = true;
  await stopped.advance(60_000);
  expect(stopped.sockets.length).toBe(0);
});

test("code that can't be loaded is not requested again once nobody watches", async () => {
  const page = started();
  page.hasCode = false;
  const watched = [await page.watch("f"), await page.watch("g")];
  await page.advance(5_000);
  watched[0]?.stop();
  await page.advance(5_000);
  const { loads } = page;
  for (const { stop } of watched) stop();
  await page.advance(60_000);
  expect([loads > 3, page.loads - loads <= 1]).toEqual([true, true]);
});

test("what happens while the loaded code becomes available is not lost", async () => {
  const page = new Page();
  page.onLoad = () => page.functions.start();
  await page.watch("f");
  expect(page.sockets.length).toBe(1);
});

test("arguments of different types are not equal", async () => {
  const page = started();
  await page.watch("f", { a: { b: 1 } });
  await page.watch("f", { a: [["b", 1]] });
  await page.watch("f", { a: null });
  expect(page.socket.hello().sent.length).toBe(3);
});

test("after a connection loss all are requested again; equal results change nothing", async () => {
  const page = started();
  const { seen } = await page.watch("f");
  page.socket.hello();
  page.socket.say({ type: "joined", id: 1, sub: 7 });
  page.socket.say({ type: "result", sub: 7, seq: 1, value: { a: [1] } });
  const { data } = page.live("f", {}).getSnapshot();
  const former = page.socket;
  former.cut();
  await page.advance(1_000);
  page.socket.hello();
  expect(page.socket.sent.length).toBe(1);
  // Messages with the former number are ignored now.
  page.socket.say({ type: "result", sub: 7, seq: 1, value: "another's" });
  page.socket.say({ type: "joined", id: 1, sub: 9 });
  page.socket.say({ type: "result", sub: 9, seq: 2, value: { a: [1] } });
  former.say({ type: "result", sub: 7, seq: 9, value: "late" });
  expect(seen).toEqual([{ a: [1] }]);
  expect(page.live("f", {}).getSnapshot().data).toBe(data);
  // From now on the server distinguishes between its callers.
  page.socket.say({ type: "joined", id: 1, sub: 10 });
  page.socket.say({ type: "result", sub: 9, seq: 3, value: "another's" });
  page.socket.say({ type: "result", sub: 10, seq: 3, value: 2 });
  expect(seen).toEqual([{ a: [1] }, 2]);
});

test("an error is shown beside the last result, and ends with the next one", async () => {
  const page = started();
  const { seen } = await page.watch("f");
  page.socket.hello();
  page.socket.say({ type: "joined", id: 1, sub: 7 });
  page.socket.say({ type: "result", sub: 7, seq: 1, value: 1 });
  page.socket.say({ type: "failed", sub: 7, seq: 2, code: "SOLD_OUT", message: "There is none." });
  expect(page.live("f", {}).getSnapshot()).toMatchObject({ data: 1, loading: false });
  page.socket.say({ type: "result", sub: 7, seq: 3, value: 1 });
  expect(seen).toEqual([1, "SOLD_OUT", 1]);
});

test("a rejected function is requested again when it may be, or there is room", async () => {
  const page = started();
  const limited = await page.watch("limited");
  const full = await page.watch("full");
  const other = await page.watch("other");
  page.socket.hello();
  const refusal = { type: "error", message: "No." };
  page.socket.say({ ...refusal, id: 1, code: "RATE_LIMITED", retry_after_secs: 3 });
  page.socket.say({ ...refusal, id: 2, code: "SUBSCRIPTION_LIMIT_REACHED" });
  expect([limited.seen, full.seen]).toEqual([["RATE_LIMITED"], ["SUBSCRIPTION_LIMIT_REACHED"]]);
  await page.advance(2_999);
  expect(page.socket.sent.length).toBe(3);
  await page.advance(1);
  expect(page.socket.sent.at(-1)).toMatchObject({ type: "subscribe", id: 1 });
  other.stop();
  await page.advance(5_000);
  expect(page.socket.sent.slice(-2)).toMatchObject([
    { type: "unsubscribe", id: 3 },
    { type: "subscribe", id: 2 },
  ]);
});

test("another user is shown none of the previous results", async () => {
  const page = started();
  const ann = { ...ANONYMOUS_SESSION, userId: "ann" };
  page.functions.follow(ann);
  const { seen } = await page.watch("f");
  const former = page.socket.hello();
  former.say({ type: "joined", id: 1, sub: 7 });
  former.say({ type: "result", sub: 7, seq: 1, value: "ann's" });
  page.functions.follow({ ...ann });
  expect(page.sockets.length).toBe(1);
  page.token = "t2";
  page.functions.follow({ ...ann, userId: "bob" });
  expect([seen, former.isClosed]).toEqual([["ann's", "loading"], true]);
  former.say({ type: "result", sub: 7, seq: 2, value: "ann's" });
  expect(page.socket.protocols).toEqual([LIVE_PROTOCOL, "bearer.t2"]);
  page.socket.hello();
  page.socket.say({ type: "joined", id: 1, sub: 8 });
  page.socket.say({ type: "result", sub: 8, seq: 2, value: "bob's" });
  expect(seen).toEqual(["ann's", "loading", "bob's"]);
});

test("a server that does not support live functions is called instead", async () => {
  const page = started();
  const { seen } = await page.watch("f");
  for (let tries = 0; tries < 2; tries += 1) {
    page.socket.onopen?.();
    await page.advance(5_000);
    expect(page.socket.isClosed).toBe(true);
    if (tries === 0) await page.advance(1_000);
  }
  while (page.calls.length === 0) await page.advance(1_000);
  expect(page.streams).toBeGreaterThan(0);
  expect(page.calls.map(({ path }) => path)).toEqual(["/api/fn/f"]);
  page.calls[0]?.answer(Response.json(5));
  await settled();
  expect(seen).toEqual([5]);
  while (page.sockets.length < 3) await page.advance(1_000);
  // Now it supports them.
  page.socket.hello();
  page.socket.say({ type: "joined", id: 1, sub: 7 });
  page.socket.say({ type: "result", sub: 7, seq: 1, value: 6 });
  expect(seen).toEqual([5, 6]);
});

const COUNT = { entity: "Item", spec: { count: true } };

test("an aggregate that the server only answers on request is repeated", async () => {
  const page = started();
  const { seen, stop } = await page.watch(LIVE_AGGREGATE, COUNT);
  page.socket.hello();
  expect(page.socket.sent).toMatchObject([{ function: LIVE_AGGREGATE, args: COUNT }]);
  page.socket.say({ type: "error", id: 1, code: "FN_NOT_FOUND", message: "No." });
  expect([page.calls.map(({ path }) => path), seen]).toEqual([["/api/aggregate/Item"], []]);
  page.calls[0]?.answer(Response.json({ rows: [{ count: 1 }] }));
  await settled();
  // Changes that follow each other lead to one request, within a second.
  for (let n = 0; n < 9; n += 1) {
    page.rows.emit();
    await page.advance(100);
  }
  expect(page.calls.length).toBe(1);
  page.rows.emit();
  await page.advance(100);
  expect(page.calls.length).toBe(2);
  page.rows.emit();
  await page.advance(150);
  // A response that is overtaken by a later one is ignored.
  page.calls[2]?.answer(Response.json({ rows: [{ count: 3 }] }));
  await settled();
  page.calls[1]?.answer(Response.json({ rows: [{ count: 2 }] }));
  await settled();
  const busy = { error: { code: "OVERLOADED", message: "Later.", retry_after_secs: 2 } };
  page.rows.emit();
  await page.advance(150);
  page.calls[3]?.answer(Response.json(busy, { status: 503 }));
  await settled();
  expect(seen).toEqual([{ rows: [{ count: 1 }] }, { rows: [{ count: 3 }] }, "OVERLOADED"]);
  await page.advance(3_000);
  expect(page.calls.length).toBe(5);
  stop();
  await page.advance(5_000);
  page.rows.emit();
  await page.advance(1_000);
  expect(page.calls.length).toBe(5);
});

test("rows that change all the time cause few requests, and the last state is shown", async () => {
  const page = started();
  await page.watch(LIVE_AGGREGATE, COUNT);
  page.socket.hello();
  page.socket.say({ type: "error", id: 1, code: "FN_NOT_FOUND", message: "No." });
  let answered = 0;
  /** Changes a row every 200 ms, or lets time pass. @returns the number of requests */
  const pass = async (seconds: number, changes: boolean): Promise<number> => {
    const before = page.calls.length;
    for (let n = 0; n < seconds * 5; n += 1) {
      if (changes) page.rows.emit();
      // Without messages the page would connect again.
      page.socket.say({ type: "changes", seq: 1, changes: [] });
      await page.advance(200);
      for (; answered < page.calls.length; answered += 1)
        page.calls[answered]?.answer(Response.json({ rows: [] }));
      await settled();
    }
    return page.calls.length - before;
  };
  expect(await pass(62, true)).toBeLessThan(25);
  expect(await pass(10, false)).toBe(1);
  await pass(60, false);
  // After a pause changes are followed immediately again.
  page.rows.emit();
  await page.advance(150);
  const busy = { error: { code: "OVERLOADED", message: "Later.", retry_after_secs: 4 } };
  expect(page.calls.length).toBe(answered + 1);
  page.calls[answered]?.answer(Response.json(busy, { status: 503 }));
  await settled();
  answered += 1;
  // Changes do not shorten the pause that the server names.
  expect(await pass(5, true)).toBe(0);
  expect(await pass(2, false)).toBe(1);
});

test("aggregates above the limit are not requested whenever a subscription ends", async () => {
  const page = started();
  const other = await page.watch("kept");
  await page.watch(LIVE_AGGREGATE, COUNT);
  const refuse = (id: number): void =>
    page.socket.say({ type: "error", id, code: "SUBSCRIPTION_LIMIT_REACHED", message: "No." });
  page.socket.hello();
  refuse(2);
  expect(page.calls.length).toBe(1);
  other.stop();
  await page.advance(5_000);
  // There may be room now, but another page of the user took it.
  expect(page.socket.sent.at(-1)).toMatchObject({ id: 2, function: LIVE_AGGREGATE });
  refuse(2);
  expect(page.calls.length).toBe(1);
  // Rows may have changed while there was no connection.
  page.socket.cut();
  await page.advance(2_000);
  page.socket.hello();
  refuse(2);
  expect(page.calls.length).toBe(2);
});

test("an aggregate that the server keeps up to date is only repeated by refresh", async () => {
  const page = started();
  const { seen } = await page.watch(LIVE_AGGREGATE, COUNT);
  page.socket.hello();
  page.socket.say({ type: "joined", id: 1, sub: 7 });
  page.socket.say({ type: "failed", sub: 7, seq: 1, code: "RESULT_TOO_LARGE", message: "No." });
  page.calls[0]?.answer(Response.json({ rows: ["large"] }));
  await settled();
  page.socket.say({ type: "result", sub: 7, seq: 2, value: { rows: [] } });
  page.rows.emit();
  await page.advance(1_000);
  expect([page.calls.length, seen]).toEqual([1, [{ rows: ["large"] }, { rows: [] }]]);
  const live = page.live(LIVE_AGGREGATE, COUNT);
  live.refresh();
  live.refresh();
  page.socket.say({ type: "result", sub: 7, seq: 3, value: { rows: [3] } });
  // What the server has sent meanwhile is newer.
  for (const { answer } of page.calls.slice(1)) answer(Response.json({ rows: [1] }));
  await settled();
  live.refresh();
  page.calls[3]?.answer(Response.json({ rows: [4] }));
  await settled();
  expect(seen.slice(2)).toEqual([{ rows: [3] }, { rows: [4] }]);
});

test("without a connection, aggregates are requested, and jobs are not", async () => {
  const page = started();
  page.hasSockets = false;
  const count = await page.watch(LIVE_AGGREGATE, COUNT);
  const job = await page.watch(LIVE_JOB, { id: "j" });
  while (page.calls.length === 0) await page.advance(1_000);
  expect(page.calls.map(({ path }) => path)).toEqual(["/api/aggregate/Item"]);
  page.calls[0]?.answer(Response.json({ rows: [] }));
  await settled();
  expect([count.seen, job.seen]).toEqual([[{ rows: [] }], []]);
});

test("if no connection works, functions are called repeatedly", async () => {
  const page = new Page();
  page.hasSockets = false;
  const { seen, stop } = await page.watch("f");
  expect(page.calls).toEqual([]);
  page.functions.start();
  while (page.calls.length === 0) await page.advance(1_000);
  const answers = [
    Response.json(1),
    Response.json({ error: { code: "EMPTY", message: "No." } }, { status: 400 }),
    Response.json(2),
  ];
  for (const [index, answer] of answers.entries()) {
    page.calls[index]?.answer(answer);
    while (page.calls.length === index + 1) await page.advance(1_000);
  }
  expect(seen).toEqual([1, "EMPTY", 2]);
  // Responses after the engine was stopped have no effect.
  page.functions.stop();
  page.calls.at(-1)?.answer(Response.json(3));
  await page.advance(60_000);
  expect([seen.length, page.calls.length]).toEqual([3, 4]);
  stop();
});

test("functions that share a connection use it when their code is loaded", async () => {
  const page = new Page(false);
  page.hasCode = false;
  page.functions.follow({ ...ANONYMOUS_SESSION, userId: "ann" });
  const [first, over] = [await page.watch("f"), await page.watch("g")];
  const sent: unknown[] = [];
  page.functions.opened((text) => sent.push(JSON.parse(text)));
  page.functions.start();
  over.stop();
  await page.advance(5_000);
  expect([sent, page.sockets]).toEqual([[], []]);
  page.hasCode = true;
  await page.advance(5_000);
  expect(sent).toEqual([{ type: "subscribe", id: 1, function: "f", args: {} }]);
  page.functions.take({ type: "joined", id: 1, sub: 7 });
  page.functions.take({ type: "result", sub: 7, seq: 1, value: "ann's" });
  expect(first.seen).toEqual(["ann's"]);
  // It knows whose results these are.
  page.functions.follow({ ...ANONYMOUS_SESSION, userId: "bob" });
  expect(first.seen).toEqual(["ann's", "loading"]);
  first.stop();
});
