import { shard, v } from "@pylonsync/functions";
import {
  advance,
  enter,
  leave,
  newMatch,
  perform,
  placeOf,
  seedFrom,
  viewOf,
} from "../game/match.ts";
import { MAX_PLAYERS, MAX_REWIND_MS, modeOf, TICK_RATE } from "../game/rules.ts";
import { MAX_AXIS } from "../game/ship.ts";
import { positionsOf, zap } from "../game/zap.ts";

export default shard({
  tickRate: TICK_RATE,
  maxPlayers: MAX_PLAYERS,
  maxSpectators: 50,
  instances: true,
  version: 2,
  // A match has no secrets, so a round can be watched while the next one is played.
  record: { access: "everyone", duringRun: true, minutes: 2 },
  input: v.object({
    x: v.int(),
    y: v.int(),
    dash: v.boolean(),
    aim: v.optional(v.object({ x: v.int(), y: v.int() })),
  }),
  init: (step) =>
    newMatch(
      modeOf(step.shardId),
      seedFrom(() => step.random()),
    ),
  history: { ms: MAX_REWIND_MS, keep: positionsOf },
  onJoin: (match, player) => enter(match, player.id),
  onLeave: (match, player) => leave(match, player.id),
  // A move is one step of one ship, so a client can predict its moves exactly. A pilot has as many
  // moves as there are steps: sending more does not make a ship faster.
  onInput: (match, player, { aim, ...move }, step) => {
    if (Math.abs(move.x) > MAX_AXIS || Math.abs(move.y) > MAX_AXIS)
      throw step.refuse("BAD_MOVE", `x and y are from -${MAX_AXIS} to ${MAX_AXIS}.`);
    const place = placeOf(match, player.id);
    const pilot = match.pilots[place] ?? null;
    if (pilot === null) return;
    if (pilot.moves < 1) throw step.refuse("TOO_FAST", "There is one move in each step.");
    pilot.moves -= 1;
    perform(match, place, move);
    // The aim is where the pilot saw the target.
    if (aim !== undefined) zap(match, place, aim, step.rewind());
  },
  tick: (match, step) => {
    const result = advance(match, () => step.random());
    if (result === null) return;
    // Each round is a separate recording, which ends with this step.
    step.nextRecording();
    if (result.scores.length > 0)
      step.schedule("recordRound", { shardId: step.shardId, tick: step.tick, ...result });
  },
  view: viewOf,
});
