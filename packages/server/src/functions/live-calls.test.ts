import { MAX_LIVE_READS, MAX_LIVE_RESULT_BYTES, PylonError } from "@pylonsync/protocol";
import { action, internalQuery, mutation, query, v, type FnDefinition } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { SILENT_LOG } from "./testing/silent-log.ts";
import { FunctionCache } from "../cache/function-cache.ts";
import { MemoryCache } from "../cache/memory-cache.ts";
import { openAppData, user, type AppData } from "../data/testing/app-data.ts";
import { ANONYMOUS } from "../identity/identity.ts";
import { RateLimiter } from "../request/rate-limit.ts";
import { FunctionLimits } from "./function-limits.ts";
import { LiveCalls } from "./live-calls.ts";
import { IN_PROCESS } from "./testing/in-process.ts";
import { noStorage } from "./testing/no-storage.ts";
import { FunctionEnv } from "./secrets.ts";
import { Traces } from "./traces.ts";
import { Runner } from "./runner.ts";

const manifest = buildManifest({
  name: "live-calls",
  version: "1.0.0",
  entities: [entity("Item", { n: field.int() })],
});
const nothing = (): Promise<never> => Promise.reject(new Error("It is not expected."));

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

function callsOf(functions: Readonly<Record<string, FnDefinition>>): LiveCalls {
  const runner = new Runner({
    isolation: IN_PROCESS,
    traces: new Traces(),
    store: app.store,
    committer: app.committer,
    model: () => app.model,
    functions: () => new Map(Object.entries(functions)),
    queue: {
      add: nothing,
      newId: () => "job",
      now: () => 0,
      addMany: nothing,
      cancel: nothing,
      wake: () => undefined,
    },
    workflows: { start: nothing, look: nothing, send: nothing, cancel: nothing },
    platform: app.platform,
    policies: () => new Map(),
    log: SILENT_LOG,
    mail: { canSend: false, send: () => Promise.reject(new Error("Nothing is sent here.")) },
    storageOf: noStorage,
    sendRequest: () => Promise.reject(new Error("Nothing is asked here.")),
    env: new FunctionEnv({}, () => new Set()),
    cache: new FunctionCache(new MemoryCache(app.platform)),
    timeoutMs: 5_000,
    dev: false,
    observer: { started: () => undefined, ended: () => undefined, failed: () => undefined },
  });
  return new LiveCalls(runner, new FunctionLimits(new RateLimiter({ max: 1, windowSeconds: 60 })));
}

/** What one run of a handler comes to. */
function outcomeOf(
  handler: Parameters<typeof query>[0]["handler"],
  args: Readonly<Record<string, unknown>> = {},
): ReturnType<LiveCalls["run"]> {
  return callsOf({ f: query({ handler }) }).run({
    name: "f",
    args,
    seed: "seed",
    caller: user("ann"),
    readerShare: () => "ann",
    requestId: "r1",
    signal: new AbortController().signal,
  });
}

test("a run reports its reads, also if it fails or finds nothing", async () => {
  await app.clear();
  const { result, reads, readsCaller } = await outcomeOf(async (ctx) => {
    await ctx.db.get("Item", "none");
    await ctx.db.get("Item", "none");
    await ctx.db.count("Item", { n: 1 });
    throw ctx.error("NO", "No.");
  });
  expect(result).toMatchObject({ code: "NO" });
  expect(reads.map(({ entity: name, of }) => [name, of])).toEqual([
    ["Item", "rows"],
    ["Item", "count"],
  ]);
  expect(readsCaller).toBe(false);
});

test("every way of reading the caller is detected", async () => {
  const ways: readonly Parameters<typeof query>[0]["handler"][] = [
    (ctx) => ctx.auth.userId,
    ({ auth }) => auth.isAdmin,
    (ctx) => ({ ...ctx }).auth.roles,
    (ctx) => Object.keys({ ...ctx }).length,
  ];
  for (const handler of ways) expect(await outcomeOf(handler)).toMatchObject({ readsCaller: true });
  expect(await outcomeOf((ctx) => ctx.requestId)).toMatchObject({ readsCaller: false });
});

test("time and random values are fixed during a run", async () => {
  const { result } = await outcomeOf((ctx) => {
    const [now, { length }] = [ctx.now, ctx.uuid()];
    app.platform.advance(1000);
    return [now === ctx.now, length, ctx.random() === ctx.random()];
  });
  expect(result).toBe("[true,36,false]");
});

test("changes of a handler to its arguments do not affect the next run", async () => {
  const calls = callsOf({
    f: query({
      args: { list: v.array(v.int()) },
      handler: (_ctx, { list }) => list.push(1),
    }),
  });
  const call = {
    name: "f",
    args: { list: [] },
    seed: "seed",
    caller: ANONYMOUS,
    readerShare: () => "all",
    requestId: "r1",
    signal: new AbortController().signal,
  };
  expect([(await calls.run(call)).result, (await calls.run(call)).result]).toEqual(["1", "1"]);
});

test("limits hold even if the handler catches their errors", async () => {
  const large = await outcomeOf(() => "x".repeat(MAX_LIVE_RESULT_BYTES));
  expect(large.result).toMatchObject({ code: "RESULT_TOO_LARGE" });
  const greedy = await outcomeOf(async (ctx) => {
    for (let index = 0; index <= MAX_LIVE_READS; index += 1)
      await ctx.db.get("Item", `i${index}`).catch(() => null);
    return "as if nothing were wrong";
  });
  expect(greedy.result).toMatchObject({ code: "SUBSCRIPTION_LIMIT_REACHED" });
  expect(greedy.reads.length).toBe(MAX_LIVE_READS);
});

test("a function that a reload made uncallable is not run for subscribers", async () => {
  const functions: Record<string, FnDefinition> = { f: query({ handler: () => 1 }) };
  const calls = callsOf(functions);
  const call = {
    name: "f",
    args: {},
    seed: "seed",
    caller: ANONYMOUS,
    readerShare: () => "all",
    requestId: "r1",
    signal: new AbortController().signal,
  };
  expect(await calls.run(call)).toMatchObject({ result: "1" });
  functions["f"] = internalQuery({ handler: () => 2 });
  expect(await calls.run(call)).toMatchObject({ result: { code: "FN_NOT_FOUND" } });
  functions["f"] = mutation({ handler: () => 3 });
  expect(await calls.run(call)).toMatchObject({ result: { code: "FN_TYPE_MISMATCH" } });
});

test("only queries that the caller may call can be subscribed to", async () => {
  const calls = callsOf({
    open: query({ args: { n: v.int() }, handler: () => 1 }),
    inner: internalQuery({ handler: () => 1 }),
    change: mutation({ handler: () => 1 }),
    act: action({ handler: () => 1 }),
  });
  const refusalOf = (name: string, args: object, scopes?: readonly string[]): unknown => {
    try {
      const key = scopes === undefined ? null : "k1";
      calls.check(name, { ...args }, { ...ANONYMOUS, apiKeyId: key, apiKeyScopes: scopes ?? [] });
      return null;
    } catch (error) {
      return error instanceof PylonError ? error.code : error;
    }
  };
  expect(refusalOf("open", { n: 1 })).toBeNull();
  expect(refusalOf("open", { n: "1" })).toBe("INVALID_ARGS");
  expect(refusalOf("inner", {})).toBe("FN_NOT_FOUND");
  expect(refusalOf("none", {})).toBe("FN_NOT_FOUND");
  expect(refusalOf("change", {})).toBe("FN_TYPE_MISMATCH");
  expect(refusalOf("act", {})).toBe("FN_TYPE_MISMATCH");
  expect(refusalOf("open", { n: 1 }, ["functions:open"])).toBeNull();
  expect(refusalOf("open", { n: 1 }, ["functions:other", "read"])).toBe("INSUFFICIENT_SCOPE");
  await calls.count("open", ANONYMOUS, "127.0.0.1");
  await calls.count("open", ANONYMOUS, "127.0.0.2");
  await calls.count("open", user("ann"), "127.0.0.3");
  await expect(calls.count("open", user("ann"), "127.0.0.4")).rejects.toThrow(
    "More than 1 requests",
  );
});

test("a run whose auth depends on the caller belongs to it, even if it is rejected", async () => {
  const calls = callsOf({
    f: query({ auth: "user", handler: () => 1 }),
    g: query({ auth: "public", handler: () => 1 }),
  });
  const run = (name: string, caller = ANONYMOUS) =>
    calls.run({
      ...{ name, args: {}, seed: "s", caller, readerShare: () => "r", requestId: "1" },
      signal: new AbortController().signal,
    });
  expect(await run("f")).toMatchObject({ result: { code: "AUTH_REQUIRED" }, readsCaller: true });
  expect(await run("f", user("ann"))).toMatchObject({ result: "1", readsCaller: true });
  expect(await run("g")).toMatchObject({ result: "1", readsCaller: false });
  expect(() => calls.check("f", {}, ANONYMOUS)).toThrow("signed-in");
});
