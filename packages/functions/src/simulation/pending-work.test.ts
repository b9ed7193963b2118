import { expect, test } from "bun:test";
import {
  MAX_SHARD_CALL_BYTES,
  MAX_SHARD_CALLS,
  MAX_SHARD_LOG_LINES_OF_STEP,
  MAX_SHARD_TIMERS,
} from "@pylonsync/protocol";
import fc from "fast-check";
import { shard, v, type ShardDefinition, type ShardStep } from "../index.ts";
import { Simulation, type SavedSimulation, type ShardEvent } from "./simulation.ts";

const PLAYER = { id: "ann", isGuest: false, tenantId: null, roles: [] };
const JOIN: ShardEvent = { kind: "join", player: PLAYER };

/** A shard that runs what a test gives it as its step. */
function world(more: Partial<ShardDefinition> = {}): {
  readonly simulation: Simulation;
  readonly received: string[];
  run(work: (step: ShardStep) => void): unknown;
} {
  const received: string[] = [];
  let work: (step: ShardStep) => void = () => undefined;
  const definition = {
    ...shard({
      input: v.any(),
      init: () => ({}),
      tick: (_state, step) => work(step),
      onResult: (_state, result) => void received.push(JSON.stringify(result)),
      onTimer: (_state, { timer, name, data }, step) =>
        void received.push(`${step.tick} ${timer} ${name} ${JSON.stringify(data)}`),
      view: () => null,
    }),
    ...more,
  };
  const simulation = Simulation.begin("world", definition, 1);
  return {
    simulation,
    received,
    run(given) {
      work = given;
      const { tickFaults } = simulation.advance([]);
      work = () => undefined;
      return tickFaults[0];
    },
  };
}

test("calls are returned with the step, and each result reaches onResult once", () => {
  const { simulation, received } = world({
    tick: (_state, step) => {
      if (step.tick !== 1) return;
      step.run("rate", { id: 1 }, { as: "ann", data: ["x"] });
      step.get("Note", "n1");
      step.read("Note", { text: "a" });
    },
  });
  expect(simulation.advance([JOIN]).calls).toEqual([
    { call: 1, kind: "run", name: "rate", as: "ann", args: '{"id":1}' },
    { call: 2, kind: "get", name: "Note", as: null, args: '"n1"' },
    { call: 3, kind: "read", name: "Note", as: null, args: '{"text":"a"}' },
  ]);
  const result = { kind: "result", call: 1, json: '{"rating":5}' } as const;
  const failure = { kind: "failure", call: 2, code: "NO", message: "no" } as const;
  const { calls, faults } = simulation.advance([failure, result, result]);
  expect([calls, faults.size, simulation.interruptedCalls]).toEqual([[], 0, [3]]);
  expect(received.map((text) => JSON.parse(text))).toEqual([
    {
      call: 2,
      kind: "get",
      name: "Note",
      data: null,
      error: { code: "NO", message: "no" },
      value: null,
    },
    { call: 1, kind: "run", name: "rate", data: ["x"], error: null, value: { rating: 5 } },
  ]);
});

test("what init requests is returned with the first step", () => {
  const definition = {
    init: (step: ShardStep) => {
      step.run("load");
      step.schedule("note");
      step.log.info("begun");
      return {};
    },
  };
  const { simulation } = world(definition);
  expect(simulation.interruptedCalls).toEqual([]);
  const { calls, scheduled, log } = simulation.advance([]);
  expect(calls.map(({ name }) => name)).toEqual(["load"]);
  expect(scheduled).toEqual([{ name: "note", args: {} }]);
  expect(log).toEqual([{ level: "info", message: "begun", fields: {} }]);
  expect(simulation.advance([])).toMatchObject({ calls: [], scheduled: [], log: [] });
});

test("a call that can't be made throws in its handler", () => {
  const { run } = world();
  for (const [work, message] of [
    [(step: ShardStep) => step.run("a", {}, { as: "bob" }), "is not in the shard"],
    [(step: ShardStep) => step.run("a", {}, Object({ data: 1, to: 1 })), 'no option "to"'],
    [(step: ShardStep) => step.run("a", { at: new Date(0) }), "args.at is a Date"],
    [(step: ShardStep) => step.run("a", {}, { data: NaN }), "data is NaN"],
    [(step: ShardStep) => step.run("a", { text: "x".repeat(MAX_SHARD_CALL_BYTES) }), "at most"],
    [(step: ShardStep) => step.after(0, "a"), "at least 1"],
    [(step: ShardStep) => step.after(1.5, "a"), "at least 1"],
    [(step: ShardStep) => step.after(1, Object(1)), "requires a name"],
    [(step: ShardStep) => step.after(1, "a", () => 1), "data is a function"],
  ] as const)
    expect(run(work)).toMatchObject({ message: expect.stringContaining(message) });
  const deaf = world({ onResult: undefined, onTimer: undefined });
  expect(deaf.run((step) => step.get("Note", "1"))).toMatchObject({
    message: "step.get requires a shard with onResult.",
  });
  expect(String(deaf.run((step) => step.after(1, "a")))).toContain("a shard with onTimer");
  expect(String(world({ tickRate: 0 }).run((step) => step.after(1, "a")))).toContain("tickRate");
});

test("calls and timers are bounded, and results make room for others", () => {
  const { run, simulation } = world();
  const fill = (step: ShardStep): void => {
    for (let count = 0; count <= MAX_SHARD_CALLS; count += 1) step.run("a");
  };
  expect(String(run(fill))).toContain(`at most ${MAX_SHARD_CALLS} calls`);
  simulation.advance([{ kind: "result", call: 1, json: "1" }]);
  expect(run((step) => step.run("a"))).toBeUndefined();
  expect(String(run((step) => step.run("a")))).toContain("at most");
  const wind = (step: ShardStep): void => {
    for (let count = 0; count <= MAX_SHARD_TIMERS; count += 1) step.after(9, "a");
  };
  expect(String(run(wind))).toContain(`at most ${MAX_SHARD_TIMERS} timers`);
});

test("timers are due in the order of their steps, and one that was cancelled is not", () => {
  const { run, simulation, received } = world();
  const timers: number[] = [];
  run((step) => {
    timers.push(step.after(3, "c"), step.after(1, "a", { x: 1 }), step.after(3, "d"));
    timers.push(step.after(2, "b"), step.after(3, "e"));
    expect([step.cancel(timers[2] ?? 0), step.cancel(timers[2] ?? 0)]).toEqual([true, false]);
  });
  for (let count = 0; count < 5; count += 1) simulation.advance([]);
  expect(received).toEqual(['2 2 a {"x":1}', "3 4 b null", "4 1 c null", "4 5 e null"]);
});

test("an error of onTimer affects that timer alone", () => {
  const { run, simulation, received } = world({
    onTimer: (_state, { name }) => {
      if (name === "bad") throw new Error("halfway");
      received.push(name);
    },
  });
  run((step) => void [step.after(1, "bad"), step.after(1, "good")]);
  const { timerFaults, tickFaults } = simulation.advance([]);
  expect([timerFaults.map(String), tickFaults, received]).toEqual([
    ["Error: halfway"],
    [],
    ["good"],
  ]);
});

test("lines of the log are bounded in number and size, and hold scalars alone", () => {
  const { simulation } = world({
    tick: (_state, step) => {
      step.log.warn("w".repeat(5000), Object({ n: 1, text: "t".repeat(500), row: {}, none: null }));
      for (let count = 0; count < 30; count += 1) step.log.debug("more");
    },
  });
  const { log } = simulation.advance([]);
  expect(log).toHaveLength(MAX_SHARD_LOG_LINES_OF_STEP + 1);
  expect(log[0]).toEqual({
    level: "warn",
    message: "w".repeat(1000),
    fields: { n: 1, text: "t".repeat(200), none: null },
  });
  expect(log.at(-1)).toMatchObject({ level: "warn", fields: { dropped: 11 } });
});

test("a run with calls and timers goes on from where it was saved as if it had not been", () => {
  const busy = shard({
    input: v.any(),
    init: () => ({ sum: 0, log: "" }),
    tick: (state, step) => {
      if (step.random() < 0.3) step.run("f", { tick: step.tick }, { data: { at: step.tick } });
      if (step.random() < 0.3) step.after(1 + Math.floor(step.random() * 9), "t", { n: -0 });
      if (step.random() < 0.1) step.cancel(Math.floor(step.random() * 20));
      state.sum += 1;
    },
    onResult: (state, { call, data, value, error }) => {
      state.log = `${state.log}${call} ${JSON.stringify([data, value, error])};`.slice(-200);
    },
    onTimer: (state, { timer, data }, step) => {
      state.log = `${state.log}t${timer} ${JSON.stringify(data)};`.slice(-200);
      if (step.random() < 0.5) step.after(2, "again", timer);
    },
    view: (state) => state,
  });
  const STEPS = fc.array(
    fc.record({ settle: fc.array(fc.nat(30), { maxLength: 2 }), isSaved: fc.boolean() }),
    { minLength: 5, maxLength: 60 },
  );
  fc.assert(
    fc.property(STEPS, fc.integer(), (steps, seed) => {
      const whole = Simulation.begin("busy", busy, seed);
      let halting = Simulation.begin("busy", busy, seed);
      for (const { settle, isSaved } of steps) {
        const events = settle.map((call): ShardEvent =>
          call % 3 === 0
            ? { kind: "failure", call, code: "E", message: "m" }
            : { kind: "result", call, json: `[${call}]` },
        );
        expect(halting.advance(events).calls).toEqual(whole.advance(events).calls);
        expect(halting.save()).toBe(whole.save());
        if (!isSaved) continue;
        const saved = JSON.parse(halting.save()) as SavedSimulation;
        halting = Simulation.restore("busy", busy, saved);
      }
    }),
  );
});
