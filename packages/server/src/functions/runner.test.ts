import { PylonError } from "@pylonsync/protocol";
import { action, mutation, query, v, type FnDefinition } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { FunctionCache } from "../cache/function-cache.ts";
import { MemoryCache } from "../cache/memory-cache.ts";
import { ADMIN } from "../identity/identity.ts";
import { openAppData, user, type AppData } from "../data/testing/app-data.ts";
import { turn } from "../testing/manual-platform.ts";
import type { JobQueue } from "./scheduler.ts";
import type { WorkflowRuns } from "./workflows.ts";
import { Runner, type Call, type RunObserver } from "./runner.ts";

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
  cancel: () => Promise.reject(new Error("No job is expected.")),
  wake: () => undefined,
};

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

const call: Call = { caller: user("ann"), readerShare: "ann", requestId: "req-1" };

/** A runner of these functions, with what its observer was told. */
function runnerOf(
  functions: Readonly<Record<string, FnDefinition>>,
  options: { readonly dev?: boolean } = {},
): { readonly runner: Runner; readonly told: unknown[]; run(name: string): Promise<unknown> } {
  const told: unknown[] = [];
  const observer: RunObserver = {
    started: (name) => told.push(["started", name]),
    ended: (name, type, outcome, ms) => told.push(["ended", name, type, outcome, ms]),
    failed: (name, requestId, error) => told.push(["failed", name, requestId, error]),
  };
  const map = new Map(Object.entries(functions));
  const runner = new Runner({
    store: app.store,
    committer: app.committer,
    model: () => app.model,
    functions: () => map,
    queue: NO_QUEUE,
    workflows: NO_WORKFLOWS,
    platform: app.platform,
    env: { REGION: "here" },
    cache: new FunctionCache(new MemoryCache(app.platform.now)),
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

test("a mutation is kept when it returns, and leaves nothing however it fails", async () => {
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

test("a call ends at its deadline or with its client, and keeps nothing", async () => {
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
  for (const name of ["query", "mutation", "action"]) {
    for (const end of ["deadline", "client"]) {
      const timers = app.platform.timers;
      const client = new AbortController();
      signals.length = 0;
      const running = thrownBy(
        runner.run(name, runner.find(name), {}, { ...call, signal: client.signal }),
      );
      while (signals.length === 0) await turn();
      expect(app.platform.timers).toBe(timers + 1);
      if (end === "client") client.abort(new PylonError("INTERNAL", "The client went away."));
      else {
        app.platform.advance(TIMEOUT_MS - 1);
        expect(signals[0]?.aborted).toBe(false);
        app.platform.advance(1);
      }
      expect((await running).code).toBe(end === "client" ? "INTERNAL" : "FN_TIMEOUT");
      expect(signals[0]?.aborted).toBe(true);
      expect(app.platform.timers).toBe(timers);
    }
  }
  expect(await count()).toBe(0);
});

test("a function takes the arguments that it declares", async () => {
  const { runner } = runnerOf({
    double: query({ args: { n: v.number() }, handler: (_ctx, { n }) => n * 2 }),
  });
  const send = (args: unknown): Promise<unknown> =>
    runner.run("double", runner.find("double"), args, call).then(({ value }) => value);
  expect(await send({ n: 4 })).toBe(8);
  for (const args of [{}, { n: "4" }, { n: 4, m: 1 }, null, []])
    expect((await thrownBy(send(args))).code).toBe("INVALID_ARGS");
});

test("an action calls others for its user, internal ones too, never as the admin", async () => {
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
  const run = (name: string, caller = call.caller): Promise<unknown> =>
    runner.run(name, runner.find(name), {}, { ...call, caller }).then(({ value }) => value);
  expect(await run("all")).toEqual(["ann", false]);
  expect(await run("all", ADMIN)).toEqual([null, false]);
  expect(await count()).toBe(2);
  expect((await thrownBy(run("wrong"))).code).toBe("FN_TYPE_MISMATCH");
  expect((await thrownBy(run("missing"))).code).toBe("FN_NOT_FOUND");
  // From outside an internal function is not there.
  expect(() => runner.find("who")).toThrow("There is no function");
});

test("a name that is not there is refused, with what was meant in dev mode alone", () => {
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
  expect(refusal(runnerOf({}), "addItem")).toMatchObject({ code: "FUNCTIONS_NOT_AVAILABLE" });
});

test("in dev mode a caller is told what a handler threw, and elsewhere where to look", async () => {
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

test("ctx.error makes what a caller may read, and nothing else does", async () => {
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
