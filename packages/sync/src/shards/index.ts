/**
 * Connects to shards, the simulations that a server runs, and shows them as smooth motion. Separate
 * from the engine, so that pages only load it if they use it.
 *
 * @module
 */
export {
  findMatch,
  type FindMatchOptions,
  type FoundMatch,
  type MatchStatus,
  type MatchTicket,
} from "./find-match.ts";
export {
  interpolate,
  type Interpolation,
  type InterpolationOptions,
  type Moment,
} from "./interpolation.ts";
export { predict, type Prediction, type PredictionOptions } from "./prediction.ts";
export type { WebSocketClass } from "../platform/platform.ts";
export { connectShard, type ConnectShardOptions, type ShardClient } from "./shard-client.ts";
export type { ShardAddress } from "./shard-url.ts";
