/**
 * Runs a shard's simulation without time and network: identically on the server and in a browser,
 * so that a recorded run is replayed exactly.
 *
 * @module
 */
export { exactJson } from "./exact-json.ts";
export type { PendingCall, RequestedCall, SavedPending, ShardCallKind } from "./pending-work.ts";
export { readReplay, type Replay } from "./replay.ts";
export { playReplay, type ReplayPlayer, type ReplayVerdict } from "./replay-player.ts";
export { ReplayRecorder, type RecordingLimits, type RecordingPiece } from "./replay-recorder.ts";
export {
  beginOrRestore,
  replay,
  Simulation,
  tickRateOf,
  versionOf,
  type CallResult,
  type RecordedStep,
  type SavedSimulation,
  type ScheduledByShard,
  type ShardEvent,
  type StepResult,
} from "./simulation.ts";
export { stateHash } from "./state-hash.ts";
