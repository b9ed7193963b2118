import { expect, test } from "bun:test";
import { shard, v, type ShardPlayer } from "../index.ts";
import fc from "fast-check";
import { exactJson } from "./exact-json.ts";
import { replay, Simulation, type RecordedStep, type SavedSimulation } from "./simulation.ts";

interface Body {
  x: number;
  y: number;
  vx: number;
  vy: number;
}

/** A world in which any error of order, time or randomness changes the state. */
const world = shard({
  tickRate: 30,
  input: v.object({ ax: v.number(), ay: v.number() }),
  init: (step) => {
    const bodies: Record<string, Body> = {};
    return { bodies, drift: step.random(), log: 0 };
  },
  onJoin: ({ bodies }, { id }, step) => {
    bodies[id] = { x: step.random(), y: step.random(), vx: 0, vy: -0 };
  },
  onLeave: ({ bodies }, { id }) => {
    delete bodies[id];
  },
  onInput: (state, { id }, { ax, ay }, step) => {
    const body = state.bodies[id];
    if (body === undefined) throw new Error("An input of a player who is not here.");
    body.vx += ax * step.dt;
    body.vy -= ay * step.dt;
    state.log = (state.log * 31 + step.tick + ax) % 1_000_003;
  },
  tick: (state, step) => {
    for (const body of Object.values(state.bodies)) {
      body.x += body.vx * step.dt + Math.sin(step.time + state.drift) * 1e-3;
      body.y += body.vy * step.dt + (step.random() - 0.5) * 1e-3;
    }
  },
  view: (state) => state,
});

function player(id: string): ShardPlayer {
  return { id, isGuest: false, tenantId: null, roles: [] };
}

/** Who joins, leaves and does what at which step. */
const script = fc.array(
  fc.record({
    tick: fc.integer({ min: 1, max: 10_000 }),
    who: fc.constantFrom("a", "b", "c", "d"),
    what: fc.constantFrom("join", "leave", "input", "input", "input", "save"),
    ax: fc.double({ min: -5, max: 5, noNaN: true }),
  }),
  { minLength: 20, maxLength: 200 },
);

type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

/** The events of each step, and the steps after which the run is saved and restored. */
function timetable(actions: Script): { steps: RecordedStep[]; saves: ReadonlySet<number> } {
  const byTick = new Map<number, RecordedStep["events"]>();
  for (const { tick, who, what, ax } of actions.toSorted((a, b) => a.tick - b.tick)) {
    const events = byTick.get(tick) ?? [];
    if (what === "join") byTick.set(tick, [...events, { kind: "join", player: player(who) }]);
    else if (what === "leave") byTick.set(tick, [...events, { kind: "leave", playerId: who }]);
    else if (what === "input")
      byTick.set(tick, [...events, { kind: "input", playerId: who, input: { ax, ay: -ax } }]);
  }
  return {
    steps: [...byTick].map(([tick, events]) => ({ tick, events })),
    saves: new Set(actions.filter(({ what }) => what === "save").map(({ tick }) => tick)),
  };
}

function savedFrom(text: string): SavedSimulation {
  return JSON.parse(text) as SavedSimulation;
}

test("a run of 10,000 steps is repeated bit for bit, through saves and restores too", () => {
  fc.assert(
    fc.property(fc.integer(), script, (seed, actions) => {
      const { steps, saves } = timetable(actions);
      const recorded = new Map(steps.map(({ tick, events }) => [tick, events]));
      let live = Simulation.begin("w", world, seed);
      while (live.tick < 10_000) {
        const { faults, tickFaults } = live.advance(recorded.get(live.tick + 1) ?? []);
        if (faults.size + tickFaults.length > 0) throw new Error("The world is broken.");
        if (saves.has(live.tick)) live = Simulation.restore("w", world, savedFrom(live.save()));
      }
      const again = Simulation.begin("w", world, seed);
      replay(again, JSON.parse(JSON.stringify(steps)) as RecordedStep[], 10_000);
      expect(again.save()).toBe(live.save());
      const other = Simulation.begin("w", world, seed + 1);
      replay(other, steps, 10_000);
      expect(other.save()).not.toBe(live.save());
    }),
    { numRuns: 12 },
  );
}, 60_000);

test("an input is applied in the step for which it is recorded, before time passes", () => {
  const seen: string[] = [];
  const definition = shard({
    input: v.object({ n: v.int() }),
    init: () => ({}),
    onInput: (_state, _player, { n }, { tick }) => void seen.push(`input ${n} in ${tick}`),
    tick: (_state, { tick, dt, time }) => void seen.push(`tick ${tick} ${dt} ${time}`),
    view: () => null,
  });
  const simulation = Simulation.begin("d", definition, 1);
  replay(
    simulation,
    [
      { tick: 1, events: [{ kind: "join", player: player("a") }] },
      { tick: 2, events: [{ kind: "input", playerId: "a", input: { n: 7 } }] },
    ],
    3,
  );
  expect(seen).toEqual(
    ["tick 1 0.05 0.05", "input 7 in 2", "tick 2 0.05 0.1", "tick 3 0.05 0.15"].map((line) =>
      line.replace("0.15", String(3 / 20)),
    ),
  );
});

test("an error of the app's code is reported, and the step continues", () => {
  const definition = shard({
    input: v.object({ bad: v.string() }),
    init: () => ({ ticks: 0 }),
    onInput: (_state, _player, { bad }, step) => {
      if (bad === "refuse") throw step.refuse("OUT_OF_AMMO", "Nothing to shoot with.");
      throw new Error(bad);
    },
    tick: (state, step) => {
      state.ticks += 1;
      if (step.tick === 2) throw new Error("tick");
    },
    view: (state) => state,
  });
  const simulation = Simulation.begin("d", definition, 1);
  const input = (bad: string) => ({ kind: "input", playerId: "a", input: { bad } }) as const;
  const first = simulation.advance([
    { kind: "join", player: player("a") },
    input("refuse"),
    input("broken"),
    input("refuse"),
  ]);
  expect([...first.refused.keys()]).toEqual([1, 3]);
  expect(first.refused.get(1)?.code).toBe("OUT_OF_AMMO");
  expect([...first.faults].map(String)).toEqual(["2,Error: broken"]);
  expect(simulation.advance([]).tickFaults.map(String)).toEqual(["Error: tick"]);
  expect(simulation.state).toEqual({ ticks: 2 });
});

test("a value that can't be saved is named by its path", () => {
  for (const [state, place] of [
    [{ a: [1, { b: Number.NaN }] }, "state.a[1].b is NaN"],
    [{ at: new Date(0) }, "state.at is a Date"],
    [{ all: new Map() }, "state.all is a Map"],
    [[undefined], "state[0] is a undefined"],
    [{ f: () => 1 }, "state.f is a function"],
  ] as const)
    expect(() => exactJson(state)).toThrow(place);
  let deep: unknown = 1;
  for (let level = 0; level < 70; level += 1) deep = [deep];
  expect(() => exactJson(deep)).toThrow("deeper than 64");
  const definition = shard({ input: v.any(), init: () => new Set(), view: () => 1 });
  expect(() => Simulation.begin("d", definition, 1)).toThrow("state is a Set");
});

test("plain data is unchanged after parsing", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      expect(JSON.parse(exactJson(value))).toStrictEqual(value as never);
    }),
  );
  expect(Object.is(JSON.parse(exactJson(-0)), -0)).toBe(true);
});
