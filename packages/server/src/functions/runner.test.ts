import { PylonError } from "@pylonsync/protocol";
import {
  action,
  middleware,
  mutation,
  query,
  v,
  type FnDefinition,
  type Scheduler,
} from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { FunctionLog } from "./call-log.ts";
import { SILENT_LOG } from "./testing/silent-log.ts";
import { FunctionCache } from "../cache/function-cache.ts";
import { MemoryCache } from "../cache/memory-cache.ts";
import { ADMIN, ANONYMOUS } from "../identity/identity.ts";
import { openAppData, user, type AppData } from "../data/testing/app-data.ts";
import { turn } from "../testing/manual-platform.ts";
import type { JobQueue } from "./scheduler.ts";
import type { WorkflowRuns } from "./workflows.ts";
import { IN_PROCESS } from "./testing/in-process.ts";
import { noStorage } from "./testing/no-storage.ts";
import { FunctionEnv } from "./secrets.ts";
import { Traces } from "./traces.ts";
import type { Call } from "./call.ts";
import type { RunObserver } from "./runner-services.ts";
import { Runner } from "./runner.ts";

const manifest = buildManifest({
  name: "runner",
  version: "1.0.0",
  entities: [entity("Item", { n: field.int() })],
});
const TIMEOUT_MS = 5_000;
/** Nothing here calls functions for later. */
const NO_WORKFLOWS: WorkflowRuns = {
  look: () => Promise.reject(new Error("No workflow is expected.")),
  start: () => Promise.reject(new Error("There are no workflows here.")),
  send: () => Promise.reject(new Error("There are no workflows here.")),
  cancel: async () => false,
};
const NO_QUEUE: JobQueue = {
  add: () => Promise.reject(new Error("No job is expected.")),
  addMany: () => Promise.reject(new Error("No job is expected.")),
  newId: () => "no id",
  now: () => 0,
  cancel: () => Promise.reject(new Error("No job is expected.")),
  wake: () => undefined,
};

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

const call: Call = { caller: user("ann"), readerShare: () => "ann", requestId: "req-1" };

/** A runner of these functions, with what its observer was told. */
function runnerOf(
  functions: Readonly<Record<string, FnDefinition>>,
  options: { readonly dev?: boolean; readonly log?: FunctionLog } = {},
): { readonly runner: Runner; readonly told: unknown[]; run(name: string): Promise<unknown> } {
  const told: unknown[] = [];
  const observer: RunObserver = {
    started: (name) => told.push(["started", name]),
    ended: (name, type, outcome, ms) => told.push(["ended", name, type, outcome, ms]),
    failed: (name, requestId, error) => told.push(["failed", name, requestId, error]),
  };
  const map = new Map(Object.entries(functions));
  const runner = new Runner({
    isolation: IN_PROCESS,
    traces: new Traces(),
    store: app.store,
    committer: app.committer,
    model: () => app.model,
    functions: () => map,
    queue: NO_QUEUE,
    workflows: NO_WORKFLOWS,
    platform: app.platform,
    policies: () => new Map(),
    log: options.log ?? SILENT_LOG,
    mail: { canSend: false, send: () => Promise.reject(new Error("Nothing is sent here.")) },
    storageOf: noStorage,
    sendRequest: () => Promise.reject(new Error("Nothing is asked here.")),
    env: new FunctionEnv({ REGION: "here" }, () => new Set()),
    cache: new FunctionCache(new MemoryCache(app.platform)),
    timeoutMs: TIMEOUT_MS,
    dev: options.dev ?? false,
    observer,
  });
  return {
    runner,
    told,
    run: async (name) => (await runner.run(name, runner.find(name), {}, call)).value,
  };
}

test("a handler can't change the roles and claims that later calls are given", async () => {
  const caller = { ...user("ann"), roles: ["editor"], claims: { teams: ["a"] } };
  const { runner } = runnerOf({
    change: query({
      handler: ({ auth }) => {
        const attempts = [
          () => (auth.roles as string[]).push("admin"),
          () => (auth.claims["teams"] as string[]).push("b"),
          () => Object.assign(auth.claims, { plan: "paid" }),
        ];
        return attempts.filter((attempt) => succeeds(attempt)).length;
      },
    }),
  });
  const { value } = await runner.run("change", runner.find("change"), {}, { ...call, caller });
  expect(value).toBe(0);
  expect(caller).toMatchObject({ roles: ["editor"], claims: { teams: ["a"] } });
});

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

async function thrownBy(work: Promise<unknown>): Promise<PylonError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PylonError)) throw new Error(`It did not refuse: ${String(error)}`);
  return error;
}

async function count(): Promise<number> {
  return app.store.count("Item");
}

test("any JSON value comes back as it was returned, from each type of function", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const made = {
        q: query({ handler: () => value }),
        m: mutation({ handler: () => value }),
        a: action({ handler: () => value }),
      };
      const { run } = runnerOf(made);
      for (const name of Object.keys(made))
        expect(JSON.stringify(await run(name))).toBe(JSON.stringify(value));
    }),
    { numRuns: 20 },
  );
});

test("a mutation commits when it returns, and rolls back however it fails", async () => {
  await app.clear();
  const insert = (end: () => unknown) =>
    mutation({
      handler: async (ctx) => {
        await ctx.db.insert("Item", { n: 1 });
        return end();
      },
    });
  const { run, told } = runnerOf({
    bug: insert(() => {
      throw new Error("secret of the app");
    }),
    refusal: insert(() => {
      throw new PylonError("SOLD_OUT", "No more.");
    }),
    notJson: insert(() => new Map([[1, 2]])),
    proxy: insert(() => {
      throw new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error("more");
          },
        },
      );
    }),
    fine: insert(() => "done"),
  });
  for (const [name, code] of [
    ["bug", "HANDLER_ERROR"],
    ["refusal", "SOLD_OUT"],
    ["notJson", "HANDLER_ERROR"],
    ["proxy", "HANDLER_ERROR"],
  ] as const) {
    const error = await thrownBy(run(name));
    expect(error.code).toBe(code);
    expect(error.message).not.toContain("secret");
    expect(await count()).toBe(0);
  }
  expect(await run("fine")).toBe("done");
  expect(await count()).toBe(1);
  const outcomes = told.filter((entry) => Array.isArray(entry) && entry[0] === "ended");
  expect(outcomes.map((entry) => (entry as unknown[])[3])).toEqual([
    "failed",
    "refused",
    "failed",
    "failed",
    "ok",
  ]);
});

test("a call ends at its deadline or when its client disconnects, and writes nothing", async () => {
  await app.clear();
  const signals: AbortSignal[] = [];
  const wait = async (ctx: { readonly signal: AbortSignal }): Promise<never> => {
    signals.push(ctx.signal);
    return new Promise(() => undefined);
  };
  const { runner } = runnerOf({
    query: query({ handler: (ctx) => wait(ctx) }),
    mutation: mutation({
      handler: async (ctx) => {
        await ctx.db.insert("Item", { n: 1 });
        return wait(ctx);
      },
    }),
    action: action({ handler: (ctx) => wait(ctx) }),
  });
  // Those of other tests.
  app.platform.advance(TIMEOUT_MS);
  const { timers } = app.platform;
  for (const name of ["query", "mutation", "action"]) {
    for (const end of ["deadline", "client"]) {
      const client = new AbortController();
      signals.length = 0;
      const run = async (): Promise<unknown> =>
        runner.run(name, runner.find(name), {}, { ...call, signal: client.signal });
      const running = thrownBy(run());
      while (signals.length === 0) await turn();
      expect(app.platform.timers).toBe(timers + 1);
      if (end === "client") client.abort(new PylonError("INTERNAL", "The client disconnected."));
      else {
        app.platform.advance(TIMEOUT_MS - 1);
        expect(signals[0]?.aborted).toBe(false);
        app.platform.advance(1);
      }
      expect((await running).code).toBe(end === "client" ? "INTERNAL" : "FN_TIMEOUT");
      expect(signals[0]?.aborted).toBe(true);
    }
  }
  // The timer that they share goes when there was nothing to watch for a while.
  app.platform.advance(TIMEOUT_MS);
  expect(app.platform.timers).toBe(timers);
  expect(await count()).toBe(0);
});

test("a function accepts the arguments that it declares", async () => {
  const { runner } = runnerOf({
    double: query({ args: { n: v.number() }, handler: (_ctx, { n }) => n * 2 }),
  });
  const send = async (args: unknown): Promise<unknown> =>
    (await runner.run("double", runner.find("double"), args, call)).value;
  expect(await send({ n: 4 })).toBe(8);
  for (const args of [{}, { n: "4" }, { n: 4, m: 1 }, null, []])
    expect((await thrownBy(send(args))).code).toBe("INVALID_ARGS");
});

test("a mutation with an idempotency key is applied once, with the same result", async () => {
  await app.clear();
  const unknownOptions: object = { key: "1" };
  const { runner } = runnerOf({
    add: mutation({
      args: { n: v.int() },
      handler: async (ctx, { n }) => ({ id: await ctx.db.insert("Item", { n }) }),
    }),
    receive: action({
      args: { n: v.int(), key: v.any() },
      handler: (ctx, { n, key }) => ctx.runMutation("add", { n }, { idempotencyKey: String(key) }),
    }),
    strange: action({
      handler: (ctx) => ctx.runMutation("add", { n: 1 }, unknownOptions),
    }),
  });
  const receive = async (n: number, key: string, caller = ANONYMOUS): Promise<unknown> =>
    (await runner.run("receive", runner.find("receive"), { n, key }, { ...call, caller })).value;
  const first = await receive(1, "evt_1");
  expect(await receive(1, "evt_1")).toEqual(first);
  expect(await receive(1, "evt_1", user("bob"))).toEqual(first);
  expect(await count()).toBe(1);
  expect(await receive(1, "evt_2")).not.toEqual(first);
  expect((await thrownBy(receive(2, "evt_1"))).code).toBe("IDEMPOTENCY_KEY_REUSED");
  expect((await thrownBy(receive(1, ""))).code).toBe("INVALID_DATA");
  expect((await thrownBy(receive(1, "k".repeat(129)))).code).toBe("INVALID_DATA");
  const strange = async (): Promise<unknown> =>
    runner.run("strange", runner.find("strange"), {}, call);
  expect(await thrownBy(strange())).toMatchObject({ code: "INVALID_ARGS", field: "key" });
  expect(await count()).toBe(2);
});

test("an action calls functions for its user, also internal ones, never as the admin", async () => {
  await app.clear();
  const who = query({ handler: (ctx) => [ctx.auth.userId, ctx.auth.isAdmin] });
  const { runner } = runnerOf({
    who: { ...who, internal: true },
    add: mutation({ handler: (ctx) => ctx.db.insert("Item", { n: 1 }) }),
    all: action({
      handler: async (ctx) => {
        await ctx.runMutation("add", {});
        return ctx.runQuery("who", {});
      },
    }),
    wrong: action({ handler: (ctx) => ctx.runQuery("add", {}) }),
    missing: action({ handler: (ctx) => ctx.runQuery("whoo", {}) }),
  });
  const run = async (name: string, caller = call.caller): Promise<unknown> =>
    (await runner.run(name, runner.find(name), {}, { ...call, caller })).value;
  expect(await run("all")).toEqual(["ann", false]);
  expect(await run("all", ADMIN)).toEqual([null, false]);
  expect(await count()).toBe(2);
  expect((await thrownBy(run("wrong"))).code).toBe("FN_TYPE_MISMATCH");
  expect((await thrownBy(run("missing"))).code).toBe("FN_NOT_FOUND");
  // From outside an internal function is not there.
  expect(() => runner.find("who")).toThrow("does not exist");
});

test("an unknown name is rejected, with a suggestion in dev mode only", () => {
  const functions = { addItem: mutation({ handler: () => null }) };
  const refusal = (made: { readonly runner: Runner }, name: string): unknown => {
    try {
      return made.runner.find(name);
    } catch (error) {
      return error;
    }
  };
  expect(refusal(runnerOf(functions, { dev: true }), "additem")).toMatchObject({
    code: "FN_NOT_FOUND",
    hint: 'Did you mean "addItem"?',
  });
  expect(refusal(runnerOf(functions), "additem")).toMatchObject({
    code: "FN_NOT_FOUND",
    hint: "A function is named after its file in functions/.",
  });
  expect(refusal(runnerOf({}), "items.add")).toMatchObject({
    code: "FUNCTIONS_NOT_AVAILABLE",
    hint: "Write functions/items/add.ts.",
  });
});

test("an error of a handler is shown in dev mode, and otherwise refers to the log", async () => {
  const functions = {
    bug: query({
      handler: () => {
        throw new TypeError("x is undefined");
      },
    }),
  };
  const inDev = await thrownBy(runnerOf(functions, { dev: true }).run("bug"));
  expect(inDev.message).toContain("x is undefined");
  const { run, told } = runnerOf(functions);
  const error = await thrownBy(run("bug"));
  expect(error.message).toBe("Internal handler error");
  expect(error.hint).toContain("req-1");
  expect(told).toContainEqual(["failed", "bug", "req-1", new TypeError("x is undefined")]);
});

test("only ctx.error creates errors that callers can read", async () => {
  const { run } = runnerOf({
    soldOut: query({
      handler: (ctx) => {
        throw ctx.error("SOLD_OUT", "No more.");
      },
    }),
    looksLike: query({
      handler: () => {
        throw Object.assign(new Error("inside"), { code: "SOLD_OUT", status: 400 });
      },
    }),
    empty: query({
      handler: (ctx) => {
        throw ctx.error("", "x");
      },
    }),
  });
  expect(await thrownBy(run("soldOut"))).toMatchObject({ code: "SOLD_OUT", message: "No more." });
  expect((await thrownBy(run("looksLike"))).code).toBe("HANDLER_ERROR");
  expect((await thrownBy(run("empty"))).code).toBe("HANDLER_ERROR");
});

test("dev mode warns once about a write of an unchecked object of the caller", async () => {
  await app.clear();
  const args = { item: v.object({ n: v.int() }) };
  const insert = (definition: Omit<FnDefinition, "type" | "args" | "handler"> = {}) =>
    mutation({
      ...definition,
      args,
      handler: (ctx, { item }) => ctx.db.insert("Item", item),
    });
  const functions = {
    whole: insert(),
    guarded: insert({ auth: "user" }),
    layered: insert({ middleware: [middleware(async ({ next }) => next())] }),
    asks: mutation({
      args,
      handler: (ctx, { item }) => {
        if (ctx.auth.userId === null) throw ctx.error("AUTH_REQUIRED", "Sign in.");
        return ctx.db.insert("Item", item);
      },
    }),
    acts: mutation({
      args,
      handler: (ctx, { item }) => ctx.db.as({ userId: null, isAdmin: true }).insert("Item", item),
    }),
    names: mutation({ args, handler: (ctx, { item }) => ctx.db.insert("Item", { n: item.n }) }),
    outer: action({ args, handler: (ctx, given) => ctx.runMutation("whole", given) }),
  };
  const warned = async (dev: boolean): Promise<unknown[]> => {
    const lines: unknown[] = [];
    const log = {
      ...SILENT_LOG,
      warn: (text: string, fields: object) => lines.push([text, fields]),
    };
    const { runner } = runnerOf(functions, { dev, log });
    await runner.run("outer", runner.find("outer"), { item: { n: 1 } }, call);
    for (const name of [...Object.keys(functions), "whole"])
      await runner.run(name, runner.find(name), { item: { n: 1 } }, call);
    return lines;
  };
  expect(await warned(false)).toEqual([]);
  expect(await warned(true)).toEqual([
    [expect.stringContaining("Item"), expect.objectContaining({ function: "whole" })],
  ]);
});

test("work that continues after a mutation schedules nothing", async () => {
  const kept: Pick<Scheduler, "runAfter">[] = [];
  const late: (() => Pick<Scheduler, "runAfter">)[] = [];
  const { run } = runnerOf({
    first: mutation({
      handler: (ctx) => {
        late.push(() => ctx.scheduler);
        return null;
      },
    }),
    fails: mutation({
      handler: (ctx) => {
        kept.push(ctx.scheduler);
        late.push(() => ctx.scheduler);
        throw new Error("no");
      },
    }),
  });
  await run("first");
  await run("fails").catch(() => undefined);
  expect(late).toHaveLength(2);
  for (const scheduler of [...kept, ...late.map((look) => look())])
    await expect(scheduler.runAfter(0, "send")).rejects.toThrow("The transaction has ended");
});
