import { expect, test } from "bun:test";
import fc from "fast-check";
import { StepFailedError, workflow, type WorkflowTools } from "@pylonsync/workflows";
import { systemPlatform, type Platform } from "../platform.ts";
import type { Pause, ReplayPorts } from "./replay-ports.ts";
import { Replay, type ReplayEnd } from "./replay.ts";
import { InvalidRunError } from "./invalid-run-error.ts";
import type { EventRow, Run, StepRow } from "./run.ts";

// Random workflows on a server that crashes at any of its writes, compared with running them once.

const START = Date.parse("2026-03-01T12:00:00Z");

/** A part of a workflow. Each has a result, which the whole returns. */
type Part =
  | { readonly kind: "step" | "mutation"; readonly fails: number; readonly turns: number }
  | { readonly kind: "sleep"; readonly seconds: number }
  | { readonly kind: "event"; readonly comes: boolean }
  | { readonly kind: "all" | "sequence" | "caught"; readonly parts: readonly Part[] };

const { part } = fc.letrec<{ part: Part; leaf: Part }>((tie) => ({
  leaf: fc.oneof(
    fc.record({
      kind: fc.constantFrom("step" as const, "mutation" as const),
      fails: fc.constantFrom(0, 0, 0, 1, 3),
      turns: fc.nat(3),
    }),
    fc.record({ kind: fc.constant("sleep" as const), seconds: fc.constantFrom(0, 5, 86_400) }),
    fc.record({ kind: fc.constant("event" as const), comes: fc.boolean() }),
  ),
  part: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    tie("leaf"),
    fc.record({
      kind: fc.constantFrom("all" as const, "sequence" as const, "caught" as const),
      parts: fc.array(tie("part"), { minLength: 1, maxLength: 3 }),
    }),
  ),
}));

/** The database and the outside world, which survive crashes. */
class World {
  now = START;
  readonly rows = new Map<string, StepRow>();
  /** How often each mutation was committed, and each step was recorded as done. */
  readonly effects = new Map<string, number>();
  readonly events = new Map<string, EventRow>();
  /** The visible state of the run, each time that it was written. */
  readonly states: string[] = [];
  /** When to crash: the numbers of the writes, odd ones after the write. */
  readonly #crashes: Set<number>;
  #writes = 0;

  constructor(crashes: readonly number[]) {
    this.#crashes = new Set(crashes);
  }

  readonly platform: Platform = {
    ...systemPlatform,
    now: () => this.now,
    // Nothing in here waits for real time: due work is due after a jump of the clock.
    after: () => ({
      cancel: () => undefined,
      unref() {
        return this;
      },
    }),
  };

  write(
    rows: readonly StepRow[],
    taken: readonly EventRow[],
    isNew: (row: StepRow) => boolean = ({ id }) => !this.rows.has(id),
  ): void {
    this.#writes += 1;
    if (this.#crashes.has(this.#writes * 2)) throw new Error("crash before");
    for (const row of rows) {
      const before = this.rows.get(row.id);
      expect(before?.seq ?? null).toBeNull();
      // A mutation may have been committed although its run does not know that.
      if (row.kind !== "mutation") expect(isNew(row)).toBe(before === undefined);
      else expect(isNew(row) && before !== undefined).toBe(false);
      this.rows.set(row.id, row);
      if (row.status === "completed")
        this.effects.set(row.name, (this.effects.get(row.name) ?? 0) + 1);
    }
    for (const { id } of taken) expect(this.events.delete(id)).toBe(true);
    if (this.#crashes.has(this.#writes * 2 + 1)) throw new Error("crash after");
  }
}

/** Runs a part with the tools of a workflow. */
async function play(part: Part, path: string, tools: WorkflowTools): Promise<unknown> {
  switch (part.kind) {
    case "step":
      return tools.step(
        path,
        async ({ attempt }) => {
          for (let turn = 0; turn < part.turns; turn += 1) await Promise.resolve();
          if (attempt <= part.fails) throw new Error(`no ${path}`);
          return path;
        },
        { retries: 1 },
      );
    case "mutation":
      return tools.runMutation(path, { fails: part.fails }, { retries: 1 });
    case "sleep":
      return tools.sleep(String(part.seconds));
    case "event":
      return (await tools.waitForEvent(path, { timeout: "1h" })) ?? "no event";
    case "all":
      return Promise.all(part.parts.map((one, at) => play(one, `${path}.${at}`, tools)));
    case "sequence": {
      const results: unknown[] = [];
      for (const [at, one] of part.parts.entries())
        results.push(await play(one, `${path}.${at}`, tools));
      return results;
    }
    case "caught":
      try {
        return await play({ kind: "all", parts: part.parts }, path, tools);
      } catch (error) {
        if (!(error instanceof StepFailedError)) throw error;
        return [await tools.step(`${path} undo`, () => "undone")];
      }
  }
}

/** Returns the result of a part if nothing crashes, or that it fails. */
function expected(part: Part, path: string): { readonly value: unknown } | null {
  switch (part.kind) {
    case "step":
    case "mutation":
      return part.fails > 1 ? null : { value: path };
    case "sleep":
      return { value: null };
    case "event":
      return { value: part.comes ? path : "no event" };
    default: {
      const results = part.parts.map((one, at) => expected(one, `${path}.${at}`));
      if (results.some((one) => one === null))
        return part.kind === "caught" ? { value: ["undone"] } : null;
      return { value: results.map((one) => one?.value) };
    }
  }
}

function eventsOf(part: Part, path: string): string[] {
  if (part.kind === "event") return part.comes ? [path] : [];
  if (!("parts" in part)) return [];
  return part.parts.flatMap((one, at) => eventsOf(one, `${path}.${at}`));
}

const RUN: Run = {
  id: "wf_1",
  name: "random",
  version: 1,
  input: "null",
  status: "running",
  output: null,
  error: null,
  failedStep: null,
  createdAt: START,
  startedAt: START,
  finishedAt: null,
  wakeAt: null,
  waitingFor: null,
  jobId: "job",
  signals: 0,
  maxRetries: 3,
  parentId: null,
  generation: 0,
  state: null,
  startedBy: null,
};

type Handler = Parameters<typeof workflow>[1];

/** One advance, until it suspends, ends or crashes. */
async function advance(world: World, handler: Handler): Promise<ReplayEnd | Pause> {
  let pause: Pause | null = null;
  const ports: ReplayPorts = {
    record: async (...ends) => world.write(...ends),
    saveState: async (state) => {
      world.states.push(state);
    },
    mutate: async ({ args }, rowOf) => {
      const { fails } = args as { readonly fails: number };
      const row = rowOf("");
      if (row.attempts <= fails) throw new Error(`no ${row.name}`);
      const done = { ...row, output: JSON.stringify(row.name) };
      try {
        world.write([done], []);
      } catch (error) {
        throw new InvalidRunError(error instanceof Error ? error.message : "");
      }
      return done;
    },
    startChild: () => Promise.reject(new Error("There are no children here.")),
    endOfChild: async () => null,
    suspend: async (given) => {
      world.write(given.rows, []);
      pause = given;
      return null;
    },
    stepContext: (base) => {
      const never = (): Promise<never> => Promise.reject(new Error("There are no functions."));
      return { ...base, runQuery: never, runMutation: never, runAction: never };
    },
  };
  const replay = new Replay(
    {
      run: { ...RUN, state: world.states.at(-1) ?? null },
      definition: workflow("random", handler),
      steps: [...world.rows.values()].toSorted((a, b) => a.position - b.position),
      events: [...world.events.values()],
      platform: world.platform,
      signal: new AbortController().signal,
      timeoutMs: 1_000,
      retryDelayMs: () => 2_000,
    },
    ports,
  );
  const end = await replay.run();
  return pause ?? end;
}

/** Continues after each crash and each pause, until the run has ended. */
async function toEnd(world: World, handler: Handler): Promise<ReplayEnd> {
  for (;;) {
    let end: ReplayEnd | Pause;
    try {
      end = await advance(world, handler);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("crash")) continue;
      throw error;
    }
    if ("kind" in end) return end;
    expect(end.wakeAt).not.toBeNull();
    world.now = Math.max(world.now, end.wakeAt ?? world.now);
  }
}

test("a workflow ends as if nothing had crashed, with each step recorded once", async () => {
  const crashes = fc.array(fc.integer({ min: 2, max: 40 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(part, crashes, async (whole, crashesAt) => {
      const world = new World(crashesAt);
      for (const [index, name] of eventsOf(whole, "0").entries()) {
        const data = JSON.stringify(name);
        world.events.set(`e${index}`, { id: `e${index}`, runId: "wf_1", name, data, at: START });
      }
      const end = await toEnd(world, async (_ctx, tools) => play(whole, "0", tools));
      const wanted = expected(whole, "0");
      if (wanted === null) expect(end.kind).toBe("failed");
      else expect(end).toEqual({ kind: "completed", output: JSON.stringify(wanted.value ?? null) });
      for (const [name, times] of world.effects)
        if (name !== "sleep") expect([name, times]).toEqual([name, 1]);
    }),
    { numRuns: 300 },
  );
}, 60_000);

test("code that has changed since the run started is an error that names the step", async () => {
  const world = new World([]);
  await advance(world, async (_ctx, { step, sleep }) => {
    await step("a", () => 1);
    await sleep("1d");
  });
  world.now += 86_400_000;
  const renamed = advance(world, async (_ctx, { step, sleep }) => {
    await step("b", () => 1);
    await sleep("1d");
  });
  await expect(renamed).rejects.toThrow('step 0 was step "a", now step "b"');
  const shorter = advance(world, async (_ctx, { step }) => step("a", () => 1));
  await expect(shorter).rejects.toThrow('step 1, sleep "sleep", is no longer called');
});

test("the size of results is limited, each and in total", async () => {
  const large = await toEnd(new World([]), async (_ctx, { step }) =>
    step("large", () => "x".repeat(300_000), { retries: 0 }),
  );
  expect(large).toMatchObject({ kind: "failed", error: expect.stringContaining("at most 262144") });
  const many = advance(new World([]), async (_ctx, { step }) => {
    for (let index = 0; index < 50; index += 1) await step(`s${index}`, () => "x".repeat(250_000));
  });
  await expect(many).rejects.toThrow(InvalidRunError);
  const endless = advance(new World([]), async (_ctx, { step }) => {
    for (;;) await step("again", () => 1);
  });
  await expect(endless).rejects.toThrow("at most 1000 steps");
});

test("the code can read its run and its progress", async () => {
  const seen: unknown[] = [];
  await toEnd(new World([]), async (ctx, { step }) => {
    await step("one", () => 1);
    seen.push([ctx.id, ctx.name, ctx.version, ctx.currentStep, [...ctx.completedSteps]]);
    const left = step("two", () => 2);
    seen.push(ctx.currentStep);
    await left;
  });
  expect(seen).toEqual([["wf_1", "random", 1, 1, ["one"]], 2]);
});

test("the visible state of a run is written once, before the run continues", async () => {
  const world = new World([]);
  const handler: Handler = async (_ctx, { step, sleep, setState }) => {
    setState({ at: "packing" });
    const before = await step("look", () => world.states.length);
    setState({ at: "on its way" });
    await sleep("1d");
    setState({ at: "there" });
    return before;
  };
  const end = await toEnd(world, handler);
  expect(end).toEqual({ kind: "completed", output: "1" });
  const places = world.states.map((state) => (JSON.parse(state) as { readonly at: string }).at);
  // The replay after the sleep passes the first two again, and writes neither.
  expect(places).toEqual(["packing", "on its way", "there"]);
});

test("a run that continues as new has ended there, whatever its code does", async () => {
  const results = [];
  for (const after of ["throws", "returns", "waits"])
    results.push(
      await toEnd(new World([]), async (_ctx, { step, continueAsNew }) => {
        await step("one", () => 1);
        try {
          continueAsNew({ page: 2 });
        } catch (error) {
          if (after === "throws") throw error;
        }
        if (after === "waits") await new Promise(() => undefined);
        return "not this";
      }),
    );
  const continued = { kind: "continued" as const, input: '{"page":2}' };
  expect(results).toEqual([continued, continued, continued]);
});
