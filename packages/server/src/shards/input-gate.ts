import { MAX_SHARD_QUEUE, PylonError } from "@pylonsync/protocol";
import { parseValue, type ShardDefinition } from "@pylonsync/functions";
import type { ShardConnection } from "./shard-connection.ts";

const DEFAULT_INPUT_RATE = 60;

/** The shard's properties that determine whether an input is accepted. */
export interface InputGate {
  readonly definition: ShardDefinition;
  readonly isRunning: boolean;
  readonly queued: number;
}

/**
 * Checks an input before it is queued for the next step of a shard.
 *
 * @param now monotonic time in milliseconds
 * @throws PylonError INVALID_ARGS, INPUT_REJECTED, RATE_LIMITED, FORBIDDEN
 */
export function checkInput(
  { definition, isRunning, queued }: InputGate,
  connection: ShardConnection,
  input: unknown,
  now: number,
): void {
  const { inputRate = DEFAULT_INPUT_RATE, input: validator } = definition;
  if (!isRunning || !connection.isOpen) throw new PylonError("INPUT_REJECTED", "shard is stopped");
  if (connection.role === "spectator")
    throw new PylonError("FORBIDDEN", "Spectators can't send inputs.");
  const excess = connection.takeInput(now, inputRate);
  if (excess !== null) throw new PylonError("RATE_LIMITED", excess);
  parseValue(validator, input, "input");
  if (queued >= MAX_SHARD_QUEUE)
    throw new PylonError("INPUT_REJECTED", "shard input queue is full");
}
