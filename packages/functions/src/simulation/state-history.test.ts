import { expect, test } from "bun:test";
import { shard, v, type ShardDefinition } from "../index.ts";
import fc from "fast-check";
import { Simulation, type ShardEvent } from "./simulation.ts";

const MS = 200;
const RATE = 20;
const STEPS = (MS / 1000) * RATE;
const ann = { id: "ann", isGuest: true, tenantId: null, roles: [] };

interface State {
  x: number;
  readonly seen: { readonly x: number; readonly tick: number }[];
}

/** A target that moves unevenly, and the results of shots at its positions. */
const range = shard({
  tickRate: RATE,
  input: v.any(),
  init: (): State => ({ x: 0, seen: [] }),
  history: { ms: MS, keep: ({ x }) => ({ x }) },
  onInput: (state, _player, _input, step) => {
    const { from, to, share, tick } = step.rewind();
    state.seen.push({ x: from.x + (to.x - from.x) * share, tick });
  },
  tick: (state, step) => {
    state.x += step.tick ** 2;
  },
  view: ({ x }) => ({ x }),
});

const shot = (seen?: number): ShardEvent => ({
  kind: "input",
  playerId: "ann",
  input: null,
  ...(seen === undefined ? {} : { seen }),
});

test("an input is evaluated by what its player saw, within the history's time", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.double({ min: 0, max: 60, noNaN: true }),
      fc.boolean(),
      (played, seen, isRestored) => {
        let simulation = Simulation.begin("range", range, 1);
        simulation.advance([{ kind: "join", player: ann }]);
        for (let step = 1; step < played; step += 1) simulation.advance([]);
        if (isRestored)
          simulation = Simulation.restore("range", range, JSON.parse(simulation.save()));
        // Its position at each step, computed independently.
        const xAt = (tick: number): number => (tick * (tick + 1) * (2 * tick + 1)) / 6;
        const tick = Math.min(played, Math.max(1, played - STEPS, seen));
        const [from, to] = [xAt(Math.floor(tick)), xAt(Math.ceil(tick))];
        simulation.advance([shot(seen), shot()]);
        const [found, newest] = (simulation.state as State).seen;
        expect(found?.tick).toBe(tick);
        expect(found?.x).toBeCloseTo(from + (to - from) * (tick % 1), 6);
        expect(newest).toEqual({ x: xAt(played), tick: played });
      },
    ),
  );
});

test("the history can't be changed, nor contain values that JSON can't represent", () => {
  const mutating: ShardDefinition = {
    ...range,
    onInput: (_state, _player, _input, step) =>
      void Object.assign(Object(step.rewind().from), { x: 1 }),
  };
  const simulation = Simulation.begin("range", mutating, 1);
  simulation.advance([{ kind: "join", player: ann }]);
  const [fault] = simulation.advance([shot()]).faults.values();
  expect(fault).toBeInstanceOf(TypeError);
  const unfit = { ...range, history: { ms: MS, keep: () => new Map() } };
  const { tickFaults } = Simulation.begin("range", unfit, 1).advance([]);
  expect(String(tickFaults[0])).toContain("history is a Map");
});

test("a shard without a history says so", () => {
  const { history: _history, ...plain } = range;
  const simulation = Simulation.begin("range", plain, 1);
  const { faults } = simulation.advance([{ kind: "join", player: ann }, shot()]);
  expect(String(faults.get(1))).toContain("history: { ms, keep }");
});
