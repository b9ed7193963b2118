import { expect, test } from "bun:test";
import { MAX_REPLAY_BYTES, MAX_SHARD_STATE_BYTES } from "@pylonsync/protocol";
import fc from "fast-check";
import {
  MAX_SAVED_MOVES,
  viewOf,
  type Match,
  type RoundResult,
} from "../../examples/arena-shard/game/match.ts";
import { movePlayer, newRound, playStep } from "../../examples/arena-shard/game/round.ts";
import {
  BOTS,
  DASH_EVERY,
  GEMS,
  MAX_PLAYERS,
  MAX_STOLEN,
  MODES,
  PILLARS,
  STUN_STEPS,
} from "../../examples/arena-shard/game/rules.ts";
import { MAX_AXIS, moveShip, NO_MOVE, type Ship } from "../../examples/arena-shard/game/ship.ts";
import arena from "../../examples/arena-shard/shards/arena.ts";
import { readRound } from "../../examples/arena-shard/web/recorded-round.ts";
import { RoundPlayer } from "../../examples/arena-shard/web/replay-player.ts";
import {
  ReplayRecorder,
  Simulation,
  type RecordingPiece,
  type ShardEvent,
} from "@pylonsync/functions/simulation";

// Checks what the docs of examples/arena-shard promise, with the code of the game itself.

const axis = fc.integer({ min: -MAX_AXIS, max: MAX_AXIS });
const places = fc.record({ x: fc.nat(24_000), y: fc.nat(24_000) });
const flights = fc.record({ x: axis, y: axis, dash: fc.boolean() });
const moves = fc.record(
  { x: axis, y: axis, dash: fc.boolean(), aim: places },
  { requiredKeys: ["x", "y", "dash"] },
);
const userIds = fc.constantFrom("a", "b", "c");
const events: fc.Arbitrary<ShardEvent> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("input"), playerId: userIds, input: moves }),
  },
  { weight: 1, arbitrary: userIds.map(joined) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave"), playerId: userIds }) },
);

function joined(id: string): ShardEvent {
  return { kind: "join", player: { id, isGuest: true, tenantId: null, roles: [] } };
}

/** Records a simulation in memory, as a server does in files. */
class Recording {
  readonly simulation: Simulation;
  readonly #recorder: ReplayRecorder;
  #pieces: RecordingPiece[] = [];

  constructor(simulation: Simulation) {
    this.simulation = simulation;
    const limits = { maxSteps: Infinity, maxChars: Infinity };
    this.#recorder = new ReplayRecorder(simulation, limits, (piece) => this.#pieces.push(piece));
    this.#recorder.begin();
  }

  advance(given: readonly ShardEvent[]): ReturnType<Simulation["advance"]> {
    this.#recorder.stepping(given);
    const result = this.simulation.advance(given);
    this.#recorder.stepped();
    return result;
  }

  /** The contents of the recorded file. */
  text(): string {
    if (this.#pieces.at(-1)?.kind !== "checkpoint") this.#recorder.end();
    const [begin] = this.#pieces;
    if (begin?.kind !== "begin") throw new Error("A recording begins.");
    const steps = this.#pieces.flatMap((piece) => (piece.kind === "step" ? [piece.text] : []));
    const checkpoints = this.#pieces.flatMap((piece) =>
      piece.kind === "checkpoint" ? [`[${piece.tick},"${piece.hash}"]`] : [],
    );
    return (
      `{"format":"pylon.replay","version":1,"shard":"arena:sprint","code":null,` +
      `"tick_rate":20,"from_tick":${begin.tick},"to_tick":${this.simulation.tick},` +
      `"started_at":"","ended_at":"","initial":${begin.saved},"steps":[${steps.join(",")}],` +
      `"checkpoints":[${checkpoints.join(",")}]}`
    );
  }
}

/** Plays a sprint round to its end. @param turns the events of its first steps */
function play(seed: number, turns: readonly (readonly ShardEvent[])[]) {
  const simulation = Simulation.begin("arena:sprint", arena, seed);
  const recording = new Recording(simulation);
  let ended = 0;
  const results: RoundResult[] = [];
  const refused: string[] = [];
  const keep = (result: ReturnType<Simulation["advance"]>): void => {
    expect([...result.faults.values(), ...result.tickFaults]).toEqual([]);
    for (const { code } of result.refused.values()) refused.push(code);
    for (const { args } of result.scheduled) results.push(args as unknown as RoundResult);
    if (result.endsRecording) ended += 1;
  };
  keep(recording.advance([joined("always")]));
  for (let step = 1; step < MODES.sprint.roundSteps; step += 1)
    keep(recording.advance(turns[step - 1] ?? []));
  // The round is a separate recording, which ends with its last step.
  expect(ended).toBe(1);
  return { match: simulation.state as Match, simulation, recording, results, refused };
}

test("a recorded round is replayed exactly, including all joins and leaves", () => {
  fc.assert(
    fc.property(
      fc.nat(1_000_000),
      fc.array(fc.array(events, { maxLength: 4 }), { maxLength: 200 }),
      (seed, turns) => {
        const { match, recording, results } = play(seed, turns);
        expect(results).toHaveLength(1);
        const player = new RoundPlayer(JSON.parse(recording.text()));
        expect(player.steps).toBe(MODES.sprint.roundSteps);
        player.pass(player.steps * 50);
        expect(player.isSame).toBe(true);
        expect(player.view).toEqual(viewOf(match));
        player.seek(10);
        expect([player.step, player.isSame]).toEqual([10, null]);
      },
    ),
    { numRuns: 12 },
  );
});

test("the recording and the state of a full round are within their size limits", () => {
  const simulation = Simulation.begin("arena:main", arena, 7);
  const recording = new Recording(simulation);
  const ids = Array.from({ length: MAX_PLAYERS }, (_, index) => `user_${index}`);
  recording.advance(ids.map(joined));
  const input = { x: MAX_AXIS, y: MAX_AXIS, dash: true };
  const fly = ids.map((playerId): ShardEvent => ({ kind: "input", playerId, input }));
  for (let step = 2; step <= MODES.classic.roundSteps; step += 1) recording.advance(fly);
  expect(recording.text().length).toBeGreaterThan(MAX_PLAYERS * MODES.classic.roundSteps);
  expect(recording.text().length).toBeLessThan(MAX_REPLAY_BYTES / 2);
  expect(simulation.save().length).toBeLessThan(MAX_SHARD_STATE_BYTES / 8);
});

test("the result has the gems of the players who are present at the end", () => {
  const { match, results } = play(7, [[joined("b")], [{ kind: "leave", playerId: "always" }]]);
  const gems = match.round.ships[1]?.gems;
  expect(results[0]?.scores).toEqual([{ userId: "b", gems: gems ?? -1 }]);
});

test("a beam hits the ship where its pilot saw it, also in the replay", () => {
  const seen = (aimOf: (at: Ship) => { x: number; y: number }, lateSteps: number) => {
    const simulation = Simulation.begin("arena:sprint", arena, 7);
    simulation.advance([joined("ann"), joined("bob")]);
    const { round } = simulation.state as Match;
    const fly = (playerId: string, aim?: object): ShardEvent => ({
      kind: "input",
      playerId,
      input: { x: 0, y: -MAX_AXIS, dash: false, ...(aim === undefined ? {} : { aim }) },
      ...(aim === undefined ? {} : { seen: simulation.tick - lateSteps }),
    });
    for (const ship of [round.ships[0], round.ships[1]]) Object.assign(Object(ship), { x: 9000 });
    Object.assign(Object(round.ships[0]), { y: 20_000 });
    Object.assign(Object(round.ships[1]), { y: 19_000 });
    // Both fly up at full speed; nothing blocks them within these steps.
    for (let step = 0; step < 12; step += 1) simulation.advance([fly("ann"), fly("bob")]);
    const past: Ship[] = [];
    for (let step = 0; step <= lateSteps; step += 1) {
      past.push({ ...Object(round.ships[1]) });
      simulation.advance([fly("bob")]);
    }
    const [then] = past;
    if (then === undefined) throw new Error("There is no past.");
    simulation.advance([fly("ann", aimOf(then))]);
    const { zaps } = simulation.state as Match;
    return zaps.at(-1) ?? null;
  };
  const at = ({ x, y }: Ship): { x: number; y: number } => ({ x, y });
  expect(seen(at, 8)).toMatchObject({ place: 0, target: 1, isRewound: true });
  // A beam next to the ship misses, and so does one aimed further back than the shard's history.
  expect(seen(({ x, y }) => ({ x: x + 500, y }), 8)).toMatchObject({ target: null });
  expect(seen(at, 24)).toMatchObject({ target: null });
});

test("after the pause the next round begins, with a ship for each pilot", () => {
  const { match, simulation } = play(7, []);
  const { seed } = match;
  expect(match.pause).toBe(MODES.sprint.pauseSteps);
  for (let step = 0; step < MODES.sprint.pauseSteps; step += 1) simulation.advance([]);
  expect([match.pause, match.round.step, match.seed === seed]).toEqual([0, 0, false]);
  expect(match.round.ships.map((ship) => ship !== null)).toEqual([
    ...Array.from({ length: MAX_PLAYERS }, (_, place) => place === 0),
    ...Array.from({ length: BOTS }, () => true),
  ]);
});

test("a pilot has one move per step, and may catch up on a few late ones", () => {
  const fly: ShardEvent = { kind: "input", playerId: "always", input: { x: 3, y: 0, dash: false } };
  const { refused } = play(7, [Array.from({ length: 30 }, () => fly), [fly, fly]]);
  expect(refused).toEqual(Array.from({ length: 30 - MAX_SAVED_MOVES + 1 }, () => "TOO_FAST"));
  const far: ShardEvent = { kind: "input", playerId: "always", input: { x: 9, y: 0, dash: false } };
  expect(play(7, [[far]]).refused).toEqual(["BAD_MOVE"]);
});

test("a ship has whole-number coordinates, and dashes at most at set intervals", () => {
  const still: Ship = { x: 12_000, y: 9000, vx: 0, vy: 0, gems: 0, wait: 0, stun: 3, charge: 0 };
  fc.assert(
    fc.property(fc.array(flights, { maxLength: 200 }), (list) => {
      let ship = still;
      let dashes = 0;
      for (const move of list) {
        const before = ship;
        ship = moveShip(ship, move);
        if (ship.wait === DASH_EVERY) dashes += 1;
        expect(Object.values(ship).every(Number.isSafeInteger)).toBe(true);
        if (before.stun > 0) expect(ship).toEqual(moveShip(before, NO_MOVE));
      }
      expect(dashes).toBeLessThanOrEqual(Math.ceil(list.length / DASH_EVERY));
    }),
  );
});

/** Only two ships: the first one dashes at the second one, which has gems. */
function ram(second: Partial<Ship>): readonly (Ship | null)[] {
  const round = newRound(1);
  round.ships.fill(null);
  round.gems.length = 0;
  const ship = { x: 12_000, y: 8000, vx: 0, vy: 0, gems: 0, wait: 0, stun: 0, charge: 0 };
  round.ships.splice(0, 2, ship, { ...ship, x: 12_500, gems: 6, ...second });
  movePlayer(round, 0, { x: MAX_AXIS, y: 0, dash: true });
  for (let step = 0; step < 3; step += 1) playStep(round);
  return round.ships.slice(0, 2);
}

test("a rammed ship loses gems once, and cannot steer for a while", () => {
  const [thief, victim] = ram({});
  expect([thief?.gems, victim?.gems]).toEqual([MAX_STOLEN, 6 - MAX_STOLEN]);
  expect([thief?.stun, victim?.stun]).toEqual([0, STUN_STEPS]);
  expect(ram({ gems: 1 }).map((ship) => ship?.gems)).toEqual([1, 0]);
  // If two ships dash at each other, neither is hit; and a distant ship is not hit.
  expect(ram({ wait: DASH_EVERY }).map((ship) => ship?.gems)).toEqual([0, 6]);
  expect(ram({ y: 9000 }).map((ship) => ship?.gems)).toEqual([0, 6]);
});

test("a ship that touches a gem takes it, and a new one appears outside of the pillars", () => {
  const round = newRound(1);
  const [gem] = round.gems;
  const ship = {
    x: gem?.x ?? 0,
    y: gem?.y ?? 0,
    vx: 0,
    vy: 0,
    gems: 0,
    wait: 0,
    stun: 0,
    charge: 0,
  };
  round.ships.fill(null);
  round.ships[0] = ship;
  for (let step = 0; step < 200; step += 1) {
    const before = ship.gems;
    playStep(round);
    expect(ship.gems).toBeGreaterThan(before);
    expect(round.gems).toHaveLength(GEMS);
    for (const { x, y } of round.gems)
      for (const pillar of PILLARS)
        expect(Math.hypot(x - pillar.x, y - pillar.y)).toBeGreaterThan(pillar.radius);
    Object.assign(ship, round.gems[step % GEMS]);
  }
});

test("rejects a file that is not a recording of the arena", () => {
  const simulation = Simulation.begin("arena:sprint", arena, 7);
  const recording = new Recording(simulation);
  for (let step = 0; step < 5; step += 1) recording.advance([]);
  const good: object = JSON.parse(recording.text());
  expect(new RoundPlayer(good).steps).toBe(5);
  expect(readRound(recording.text()).text).toBe(recording.text());
  expect(() => new RoundPlayer({ ...good, shard: "chess" })).toThrow("of the arena");
  expect(() => new RoundPlayer({ ...good, steps: null })).toThrow("incomplete");
  expect(() => new RoundPlayer(null)).toThrow("not a replay");
  expect(() => readRound("not JSON")).toThrow(SyntaxError);
});
