import type { ShardDefinition, ShardLogLine } from "@pylonsync/functions";
import type { CloseCode } from "@pylonsync/protocol";
import type { ShardConnection } from "./shard-connection.ts";
import type {
  CallResult,
  RecordingPiece,
  RequestedCall,
  ScheduledByShard,
  RecordedStep,
} from "@pylonsync/functions/simulation";

/**
 * What is done with the state of a shard that stops. "restart" keeps what was saved last, and asks
 * clients to come back.
 */
export type ShardFate = "keep" | "discard" | "leave as saved" | "restart";

/** Told what a shard does, for logs, metrics and its storage. */
export interface ShardObserver {
  /** Runs a step of a shard by name, which the watchdog then knows of. */
  during<T>(name: string, work: () => T): T;
  /** @param sent characters of JSON */
  stepped(name: string, durationMs: number, sent: number): void;
  /** A step took longer than there is time between two. */
  overran(name: string): void;
  /** Steps overrun one after another, and the shard is slowed down. */
  throttled(id: string, durationMs: number): void;
  /** A problem of the app's code. */
  failed(id: string, where: string, error: unknown): void;
  input(name: string, outcome: "taken" | "refused"): void;
  leftOut(name: string): void;
  schedule(id: string, call: ScheduledByShard): void;
  /** A step requested a call, whose result is passed to `settle`. */
  call(shard: RunningShard, call: RequestedCall): void;
  /** A step logged a line. */
  logged(id: string, line: ShardLogLine): void;
  /** For tests: each step with what happened in it. */
  recorded?(id: string, step: RecordedStep): void;
  /** A piece of a recording, of a shard that is recorded. */
  replay(id: string, piece: RecordingPiece): void;
  /** The thread of an isolated shard was ended. */
  threadEnded(id: string, why: "stuck" | "crashed", error: unknown): void;
  /** The shard is to be stopped: it stopped by itself. */
  ended(shard: RunningShard, fate: ShardFate): void;
}

/** What a client says of an input. */
export interface SentWith {
  /** The number that it gave the input. */
  readonly clientSeq: number | null;
  /** The tick that it showed, with the part of a step. */
  readonly seen?: number | undefined;
}

/** A shard that runs, on the server's thread or on one of its own. */
export interface RunningShard {
  readonly id: string;
  /** The file in `shards/` that it is defined by. */
  readonly name: string;
  readonly definition: ShardDefinition;
  readonly isRunning: boolean;
  readonly tick: number;
  readonly players: number;
  /** Events that wait for the next step. */
  readonly queued: number;
  /** Whether nobody is connected. */
  readonly isEmpty: boolean;
  /** All connections. */
  connections(): Iterable<ShardConnection>;
  connectionOf(playerId: string): ShardConnection | undefined;
  /** Goes on with other code for the same state. */
  replace(definition: ShardDefinition): void;
  /**
   * All that it goes on from, as JSON; also once it is stopped, until it is disposed.
   *
   * @throws TypeError naming what can't be saved
   */
  save(): Promise<string>;
  /**
   * Takes a player's connection in.
   *
   * @throws PylonError FORBIDDEN, SUBSCRIBE_FAILED
   */
  join(connection: ShardConnection): Promise<void>;
  /** A connection is gone, or is to be told nothing further. */
  leave(connection: ShardConnection): void;
  /**
   * Takes an input of a connected player.
   *
   * @returns its number in this shard
   * @throws PylonError INVALID_ARGS, INPUT_REJECTED, RATE_LIMITED
   */
  input(connection: ShardConnection, input: unknown, sent: SentWith): number;
  /** Receives the result of a call, for the next step. Ignored once it is stopped. */
  settle(result: CallResult): void;
  /** Sends a player away, for as long as the shard runs. @returns whether they were there */
  kick(playerId: string, reason: string): Promise<boolean>;
  /** What comes due without a step. */
  check(): void;
  /** Stops it: no step follows, and all clients are told. */
  stop(code: CloseCode, reason: string): void;
  /** Nothing further is asked of it. */
  dispose(): void;
}
