import { expect, test } from "bun:test";
import fc from "fast-check";
import { shard, v, type ShardPlayer } from "../index.ts";
import {
  playReplay,
  readReplay,
  ReplayRecorder,
  Simulation,
  type RecordingPiece,
  type ShardEvent,
} from "./index.ts";

const SHARD = "world:1";

function worldOf(gravity: number) {
  return shard({
    tickRate: 20,
    instances: true,
    input: v.any(),
    init: (step) => {
      const last: unknown = null;
      return { at: step.random(), last, joins: 0 };
    },
    history: { ms: 200, keep: ({ at }) => ({ at }) },
    onJoin: (state) => {
      state.joins += 1;
    },
    onLeave: (state, { id }, step) => {
      state.at -= id.length * step.random();
    },
    onInput: (state, { id }, input, step) => {
      const { from, to, share } = step.rewind();
      state.last = { id, input };
      state.at += step.random() + (from.at - to.at) * share;
      if (step.random() < 0.1) throw new Error("halfway");
    },
    tick: (state, step) => {
      state.at += gravity * step.dt * step.random();
    },
    view: ({ at, joins }) => ({ at, joins }),
  });
}

const world = worldOf(1);

function playerOf(id: string): ShardPlayer {
  return { id, isGuest: false, tenantId: null, roles: ["a"] };
}

/** Assembles the pieces of one recording, as a server does. */
function replayOf(pieces: readonly RecordingPiece[]): unknown {
  const [begin] = pieces;
  if (begin?.kind !== "begin") throw new Error("A recording begins.");
  const steps = pieces.flatMap((piece) => (piece.kind === "step" ? [piece.text] : []));
  const checkpoints = pieces.flatMap((piece) =>
    piece.kind === "checkpoint" ? [`[${piece.tick},"${piece.hash}"]`] : [],
  );
  return JSON.parse(
    `{"format":"pylon.replay","version":1,"shard":"${SHARD}","code":null,"tick_rate":20,` +
      `"from_tick":${begin.tick},"to_tick":${pieces.at(-1)?.tick},"started_at":"","ended_at":"",` +
      `"initial":${begin.saved},"steps":[${steps.join(",")}],` +
      `"checkpoints":[${checkpoints.join(",")}]}`,
  );
}

interface Run {
  readonly simulation: Simulation;
  readonly recordings: readonly (readonly RecordingPiece[])[];
  /** The saved state after each step. */
  readonly states: ReadonlyMap<number, string>;
}

function recordedRun(steps: readonly (readonly ShardEvent[])[], maxSteps = 1e6): Run {
  const simulation = Simulation.begin(SHARD, world, 7);
  const recordings: RecordingPiece[][] = [];
  const recorder = new ReplayRecorder(simulation, { maxSteps, maxChars: 1e6 }, (piece) => {
    if (piece.kind === "begin") recordings.push([]);
    recordings.at(-1)?.push(piece);
  });
  const states = new Map<number, string>();
  recorder.begin();
  for (const events of steps) {
    recorder.stepping(events);
    simulation.advance(events);
    recorder.stepped();
    states.set(simulation.tick, simulation.save());
  }
  recorder.end();
  return { simulation, recordings, states };
}

const IDS = fc.constantFrom("ann", "bob", "cy", "__proto__");
const EVENT: fc.Arbitrary<ShardEvent> = fc.oneof(
  IDS.map((id) => ({ kind: "join" as const, player: playerOf(id) })),
  IDS.map((playerId) => ({ kind: "leave" as const, playerId })),
  fc.record({
    kind: fc.constant("input" as const),
    playerId: IDS,
    input: fc.jsonValue(),
    seen: fc.double({ min: 0, max: 50, noNaN: true }),
  }),
);
const STEPS = fc.array(fc.array(EVENT, { maxLength: 3 }), { minLength: 1, maxLength: 60 });

test("whatever happens, each recording of a run is replayed to identical states", () => {
  fc.assert(
    fc.property(STEPS, fc.integer({ min: 1, max: 40 }), (steps, maxSteps) => {
      const { recordings, states } = recordedRun(steps, maxSteps);
      let reached = 0;
      for (const pieces of recordings.filter(({ length }) => length > 1)) {
        const player = playReplay(world, replayOf(pieces));
        expect(player.from).toBe(reached);
        player.seek(player.to);
        expect(player.verdict).toEqual({
          isSame: true,
          checked: 1,
          checkpoints: 1,
          differsAt: null,
        });
        const { view } = JSON.parse(`{"view":${states.get(player.to) ?? ""}}`);
        expect(player.view().at).toBe(view.state.at);
        reached = player.to;
      }
      expect(reached).toBe(steps.length);
    }),
  );
});

test("a player seeks to any step, also back, and lists the players", () => {
  const joins = [[{ kind: "join", player: playerOf("ann") }], [], []] as const;
  const { recordings, states } = recordedRun([...joins, ...Array.from({ length: 500 }, () => [])]);
  const player = playReplay(world, replayOf(recordings[0] ?? []));
  expect([player.from, player.to, player.tickRate]).toEqual([0, 503, 20]);
  expect(player.players).toEqual([]);
  for (const tick of [300, 2, 503, 0, 1]) {
    player.seek(tick);
    expect(player.tick).toBe(tick);
    const text = states.get(tick);
    if (text !== undefined) expect(player.view().at).toBe(JSON.parse(text).state.at);
  }
  expect(player.players.map(({ id }) => id)).toEqual(["ann"]);
  expect(player.verdict).toEqual({ isSame: true, checked: 3, checkpoints: 3, differsAt: null });
  player.seek(503);
  expect(player.step()).toBe(false);
  expect(() => player.seek(504)).toThrow("must be from 0 to 503");
});

test("different code is detected at the first checkpoint", () => {
  const { recordings } = recordedRun(Array.from({ length: 450 }, () => []));
  const player = playReplay(worldOf(1.000001), replayOf(recordings[0] ?? []));
  player.seek(450);
  expect(player.verdict).toEqual({ isSame: false, checked: 3, checkpoints: 3, differsAt: 200 });
});

test("an invalid replay, or one of another state, is rejected with a reason", () => {
  const { recordings } = recordedRun([[{ kind: "join", player: playerOf("ann") }]]);
  const replay = readReplay(replayOf(recordings[0] ?? []));
  const other = { ...world, version: 2 };
  expect(() => playReplay(other, replay)).toThrow("state of version 1, but the shard's code has");
  expect(() => readReplay({})).toThrow("not a replay");
  expect(() => readReplay(null)).toThrow("not a replay");
  expect(() => readReplay({ ...replay, version: 9 })).toThrow("format version 9");
  for (const wrong of [
    { steps: [[5, []]] },
    {
      steps: [
        [1, []],
        [1, []],
      ],
    },
    { checkpoints: [[1, 2]] },
    { to_tick: -1 },
    { initial: { ...replay.initial, tick: 4 } },
    { shard: 1 },
  ])
    expect(() => readReplay({ ...replay, ...wrong })).toThrow("incomplete");
  expect(() => playReplay(world, { ...replay, steps: [[1, [[1, 7]]]] })).toThrow("never joined");
});
