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
 * What happens to the state of a shard that stops. "restart" keeps the last saved state, and asks
 * clients to reconnect.
 */
export type StateOnStop = "keep" | "discard" | "leave as saved" | "restart";

/** Receives the events of a shard, for logs, metrics and its storage. */
export interface ShardObserver {
  /** Runs a step of a shard, and reports the name of the shard to the watchdog. */
  during<T>(name: string, work: () => T): T;
  /** @param sent the number of characters of JSON */
  stepped(name: string, durationMs: number, sent: number): void;
  /** A step took longer than the step interval. */
  overran(name: string): void;
  /** Several consecutive steps took too long, and the shard is slowed down. */
  throttled(id: string, durationMs: number): void;
  /** The app's code failed. */
  failed(id: string, where: string, error: unknown): void;
  input(name: string, outcome: "taken" | "refused"): void;
  leftOut(name: string): void;
  schedule(id: string, call: ScheduledByShard): void;
  /** A step requested a call, whose result is passed to `settle`. */
  call(shard: RunningShard, call: RequestedCall): void;
  /** A step logged a line. */
  logged(id: string, line: ShardLogLine): void;
  /** For tests: receives each step with its events. */
  recorded?(id: string, step: RecordedStep): void;
  /** Receives a piece of the recording of a shard. */
  replay(id: string, piece: RecordingPiece): void;
  /** The thread of an isolated shard was ended. */
  threadEnded(id: string, why: "stuck" | "crashed", error: unknown): void;
  /** The shard ended, and must be stopped. */
  ended(shard: RunningShard, fate: StateOnStop): void;
}

/** Information that a client sends with an input. */
export interface SentWith {
  /** The client's number of the input; null for none. */
  readonly clientSeq: number | null;
  /** The tick that the client displayed, with its fraction. */
  readonly seen?: number | undefined;
}

/** A running shard, on the server's thread or on its own. */
export interface RunningShard {
  readonly id: string;
  /** The name of its file in `shards/`. */
  readonly name: string;
  readonly definition: ShardDefinition;
  readonly isRunning: boolean;
  readonly tick: number;
  readonly players: number;
  /** The number of events that wait for the next step. */
  readonly queued: number;
  /** Whether there are no connections. */
  readonly isEmpty: boolean;
  /** All connections. */
  connections(): Iterable<ShardConnection>;
  connectionOf(playerId: string): ShardConnection | undefined;
  /** Continues with new code and the same state. */
  replace(definition: ShardDefinition): void;
  /**
   * Returns the complete state as JSON; also after it was stopped, until it is disposed.
   *
   * @throws TypeError that names the value that can't be saved
   */
  save(): Promise<string>;
  /**
   * Adds the connection of a player or spectator.
   *
   * @throws PylonError FORBIDDEN, SUBSCRIBE_FAILED
   */
  join(connection: ShardConnection): Promise<void>;
  /** Removes a connection, which receives nothing further. */
  leave(connection: ShardConnection): void;
  /**
   * Receives an input of a connected player.
   *
   * @returns its number in this shard
   * @throws PylonError INVALID_ARGS, INPUT_REJECTED, RATE_LIMITED
   */
  input(connection: ShardConnection, input: unknown, sent: SentWith): number;
  /** Receives the result of a call, for the next step. Ignored once it is stopped. */
  settle(result: CallResult): void;
  /** Removes a player while the shard runs. @returns whether the player was in the shard */
  kick(playerId: string, reason: string): Promise<boolean>;
  /** Performs the work that is due independently of steps. */
  check(): void;
  /** Stops the shard: no step follows, and all clients are disconnected. */
  stop(code: CloseCode, reason: string): void;
  /** Releases its resources; no method is called afterwards. */
  dispose(): void;
}
