import { expect, test } from "bun:test";
import {
  MAX_PUSH_BYTES,
  MAX_PUSH_CHANGES,
  PushRequestSchema,
  type PushResult,
} from "@pylonsync/protocol";
import fc from "fast-check";
import * as v from "valibot";
import type { MutationError } from "../connection/errors.ts";
import type { EngineEvent } from "../connection/events.ts";
import { Emitter } from "../platform/emitter.ts";
import { HttpClient } from "../connection/http.ts";
import { MutationQueue } from "./mutation-queue.ts";
import type { Platform } from "../platform/platform.ts";
import { Pusher } from "./pusher.ts";

/** Timers of at least this duration are timeouts for responses, which always arrive here. */
const LEAST_DEADLINE_MS = 10_000;
const ROW_BYTES = 40 * 1024;

/** The fate of a request; after the script everything gets through. */
type Fate =
  | "through"
  | "lost before"
  | "lost after"
  | "busy"
  | "stranger"
  | "too large"
  | "later"
  | "some";
/** How the server treats a change: `poison` makes it reject the whole request. */
type Nature = "good" | "bad" | "poison";

/** A clock that advances only when there is nothing else to do. */
class Clock {
  now = 0;
  readonly #timers = new Map<object, { readonly at: number; readonly run: () => void }>();

  after(delayMs: number, run: () => void): () => void {
    const key = {};
    if (delayMs < LEAST_DEADLINE_MS) this.#timers.set(key, { at: this.now + delayMs, run });
    return () => this.#timers.delete(key);
  }

  /** Fires the next timer, if there is one. */
  advance(): void {
    const [next] = [...this.#timers].toSorted(([, a], [, b]) => a.at - b.at);
    if (next === undefined) return;
    const [key, { at, run }] = next;
    this.#timers.delete(key);
    this.now = Math.max(this.now, at);
    run();
  }
}

/** A server with a log, behind a network that follows a script. */
class Server {
  readonly log: string[] = [];
  readonly sizes: { readonly changes: number; readonly bytes: number }[] = [];
  readonly #natures: ReadonlyMap<string, Nature>;
  readonly #script: Fate[];

  constructor(natures: ReadonlyMap<string, Nature>, script: readonly Fate[]) {
    this.#natures = natures;
    this.#script = [...script];
  }

  async fetch(init: RequestInit): Promise<Response> {
    await Promise.resolve();
    const text = String(init.body);
    const { changes, user_id: author } = v.parse(PushRequestSchema, JSON.parse(text));
    expect(author).toBe("u1");
    this.sizes.push({ changes: changes.length, bytes: Buffer.byteLength(text) });
    const fate = this.#script.shift() ?? "through";
    if (fate === "lost before") throw new TypeError("Failed to fetch");
    if (fate === "busy") return answer(503, { error: { code: "OVERLOADED", message: "" } });
    if (fate === "later")
      return answer(429, { error: { code: "RATE_LIMITED", message: "", retry_after_secs: 3 } });
    if (fate === "stranger") return new Response("<h1>Bad gateway</h1>", { status: 502 });
    if (fate === "too large" && text.length > 2 * ROW_BYTES)
      return new Response("<h1>Too large</h1>", { status: 413 });
    const ids = changes.map(({ op_id: id = "" }) => id);
    if (ids.some((id) => this.#natures.get(id) === "poison"))
      return answer(400, { error: { code: "INVALID_DATA", message: "poison" } });
    const results = (fate === "some" ? ids.slice(0, 1) : ids).map((id) => this.#take(id));
    if (fate === "lost after") throw new TypeError("Failed to fetch");
    return answer(200, {
      applied: 0,
      deduped: 0,
      errors: [],
      cursor: { last_seq: this.log.length },
      results,
    });
  }

  #take(id: string): PushResult {
    if (this.#natures.get(id) === "bad")
      return { op_id: id, status: "refused", error: { code: "INVALID_DATA", message: "bad" } };
    if (this.log.includes(id)) return { op_id: id, status: "deduped" };
    this.log.push(id);
    return { op_id: id, status: "applied" };
  }
}

function answer(status: number, body: unknown): Response {
  return Response.json(body, { status });
}

interface Run {
  readonly server: Server;
  readonly queue: MutationQueue;
  readonly refused: readonly string[];
  readonly clock: Clock;
}

/** Sends all of the writes; those that this user may not send stay in the queue. */
async function push(
  natures: readonly Nature[],
  script: readonly Fate[],
  { bytes = 10, foreign = 0 } = {},
): Promise<Run> {
  const names = natures.map((nature, index): [string, Nature] => [`op${index}`, nature]);
  const server = new Server(new Map(names), script);
  const clock = new Clock();
  const unused = (): never => {
    throw new Error("Pushing does not use this.");
  };
  const platform: Platform = {
    now: () => clock.now,
    random: () => 0.5,
    randomBytes: unused,
    after: (delayMs, run) => clock.after(delayMs, run),
    fetch: async (_url, init) => server.fetch(init),
    openSocket: unused,
    onOnline: unused,
    onShown: unused,
    onOffline: unused,
    openDisk: null,
    tabs: null,
    warn: () => undefined,
  };
  const queue = new MutationQueue();
  const refused: string[] = [];
  queue.onRefused(({ rowId }: MutationError) => refused.push(rowId));
  for (let index = 0; index < foreign; index += 1)
    queue.add({ ...write(`other${index}`, 10), userId: "u2" });
  for (const [id] of names) queue.add(write(id, bytes));
  const pusher = new Pusher({
    http: new HttpClient("http://app.test", platform, () => "token"),
    queue,
    platform,
    retryDelay: 100,
    clientId: "c1",
    replicaSeq: () => Infinity,
    userId: () => "u1",
    prepare: async () => Promise.resolve(),
    onSend: () => undefined,
    events: new Emitter<EngineEvent>(),
  });
  pusher.start();
  for (let turns = 0; turns < 2_000 && queue.pending().length > foreign; turns += 1) {
    const requests = server.sizes.length;
    for (let quiet = 0; quiet < 4; quiet += 1) await new Promise(setImmediate);
    if (server.sizes.length === requests) clock.advance();
  }
  pusher.stop();
  return { server, queue, refused, clock };
}

function write(id: string, bytes: number) {
  const data = { text: "x".repeat(bytes) };
  const change = { entity: "Todo", row_id: id, kind: "insert" as const, data, op_id: id };
  return { id, change, userId: "u1" };
}

const fates = fc.array(
  fc.constantFrom<Fate>(
    "through",
    "lost before",
    "lost after",
    "busy",
    "stranger",
    "too large",
    "later",
    "some",
  ),
  { maxLength: 6 },
);
const kinds = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant("good" as const) },
    fc.constantFrom("bad" as const, "poison" as const),
  ),
  {
    maxLength: 8,
  },
);

test("whatever the network does, each write is committed once, in order, or rejected", async () => {
  await fc.assert(
    fc.asyncProperty(
      kinds,
      fates,
      fc.constantFrom(10, ROW_BYTES),
      fc.nat(2),
      async (natures, script, bytes, foreign) => {
        const { server, queue, refused } = await push(natures, script, { bytes, foreign });
        const idsOf = (isGood: boolean): string[] =>
          natures.flatMap((nature, index) =>
            (nature === "good") === isGood ? [`op${index}`] : [],
          );
        expect(server.log).toEqual(idsOf(true));
        expect(refused.toSorted()).toEqual(idsOf(false).toSorted());
        expect(queue.all().every(({ userId }) => userId === "u2")).toBe(true);
        expect(queue.all().length).toBe(foreign);
      },
    ),
    { numRuns: 40 },
  );
});

test("requests have a maximum number of changes, and are as few as possible", async () => {
  const { server } = await push(
    Array.from({ length: 2 * MAX_PUSH_CHANGES + 1 }, () => "good"),
    [],
  );
  expect(server.sizes.map(({ changes }) => changes)).toEqual([
    MAX_PUSH_CHANGES,
    MAX_PUSH_CHANGES,
    1,
  ]);
});

test("a request has at most the maximum size in bytes, except for a single change", async () => {
  const bytes = Math.floor(MAX_PUSH_BYTES / 3);
  const { server } = await push(
    Array.from({ length: 5 }, () => "good"),
    [],
    { bytes },
  );
  expect(server.sizes.map(({ changes }) => changes)).toEqual([2, 2, 1]);
  expect(Math.max(...server.sizes.map((size) => size.bytes))).toBeLessThanOrEqual(MAX_PUSH_BYTES);
  const large = await push(["good"], [], { bytes: MAX_PUSH_BYTES });
  expect(large.server.log).toEqual(["op0"]);
});

test("the pause that a server requests is kept", async () => {
  const { clock, server } = await push(["good"], ["later"]);
  expect([server.log, clock.now >= 3_000]).toEqual([["op0"], true]);
});

test("the one change that the server can't read is found by bisection", async () => {
  const natures = Array.from({ length: 64 }, (_, index): Nature =>
    index === 37 ? "poison" : "good",
  );
  const { server, refused } = await push(natures, []);
  expect(refused).toEqual(["op37"]);
  expect(server.log.length).toBe(63);
  expect(server.sizes.length).toBeLessThan(30);
});
