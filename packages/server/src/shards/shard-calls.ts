import { MAX_SHARD_CALL_BYTES, PylonError } from "@pylonsync/protocol";
import { exactJson, type CallResult, type RequestedCall } from "@pylonsync/functions/simulation";
import type { Caller } from "../identity/identity.ts";
import type { RunningShard } from "./running-shard.ts";

/** The number of calls of one shard that run at the same time; more of them wait. */
const MAX_CONCURRENT = 8;
const MAX_MESSAGE = 500;

/** A call of a shard, with the rights that it has. */
export interface ShardCall {
  readonly shardId: string;
  readonly kind: RequestedCall["kind"];
  /** The name of the function or of the entity. */
  readonly name: string;
  /** The parsed arguments, the row's id, or the filter. */
  readonly args: unknown;
  /** The player on whose behalf the call is made; null: the server. */
  readonly caller: Caller | null;
  /** Aborted when the shard stops. */
  readonly signal: AbortSignal;
}

/** The services that calls of shards use. */
export interface ShardCallServices {
  /** Makes a call. @returns JSON of its value. Rejects with the error of the call */
  readonly perform: (call: ShardCall) => Promise<string>;
  /** Called after each call. @param error undefined: it succeeded */
  readonly ended: (shardId: string, name: string, error: unknown) => void;
}

interface ShardQueue {
  readonly controller: AbortController;
  /** Its length is bounded by the calls that a simulation may have in progress. */
  readonly waiting: RequestedCall[];
  running: number;
}

/**
 * Makes the calls that shards request in their steps, and passes each result to its shard as an
 * event of a later step. It runs on the server's thread, also for isolated shards.
 */
export class ShardCalls {
  readonly #services: ShardCallServices;
  readonly #queues = new Map<RunningShard, ShardQueue>();

  constructor(services: ShardCallServices) {
    this.#services = services;
  }

  /** Makes a call as soon as its shard has fewer than the maximum of concurrent calls. */
  request(shard: RunningShard, call: RequestedCall): void {
    if (!shard.isRunning) return;
    const known = this.#queues.get(shard);
    const queue = known ?? { controller: new AbortController(), waiting: [], running: 0 };
    if (known === undefined) this.#queues.set(shard, queue);
    queue.waiting.push(call);
    this.#next(shard, queue);
  }

  /** Aborts the calls of a shard that stops: their results are discarded. */
  drop(shard: RunningShard): void {
    const queue = this.#queues.get(shard);
    this.#queues.delete(shard);
    queue?.controller.abort(new DOMException("The shard was stopped.", "AbortError"));
  }

  #next(shard: RunningShard, queue: ShardQueue): void {
    while (queue.running < MAX_CONCURRENT && !queue.controller.signal.aborted) {
      const call = queue.waiting.shift();
      if (call === undefined) return;
      queue.running += 1;
      void this.#perform(shard, call, queue.controller.signal).then((result) => {
        queue.running -= 1;
        if (result !== null) shard.settle(result);
        this.#next(shard, queue);
      });
    }
  }

  /** Never rejects. @returns null if the shard was stopped meanwhile */
  async #perform(
    shard: RunningShard,
    { call, kind, name, as, args }: RequestedCall,
    signal: AbortSignal,
  ): Promise<CallResult | null> {
    const { perform, ended } = this.#services;
    try {
      const caller = as === null ? null : callerOf(shard, as);
      const given = { shardId: shard.id, kind, name, args: JSON.parse(args), caller, signal };
      const json = deliverable(await perform(given));
      ended(shard.id, name, undefined);
      return signal.aborted ? null : { kind: "result", call, json };
    } catch (error) {
      if (signal.aborted) return null;
      ended(shard.id, name, error);
      return { kind: "failure", call, ...shownOf(error) };
    }
  }
}

/** @throws PylonError NOT_CONNECTED for a player who has no connection to the shard */
function callerOf(shard: RunningShard, playerId: string): Caller {
  const connection = shard.connectionOf(playerId);
  if (connection !== undefined) return connection.identity.caller;
  throw new PylonError("NOT_CONNECTED", "The player has no connection to the shard.");
}

/**
 * Returns the value in the form in which recordings contain it, so that a replay gets the same.
 *
 * @throws PylonError RESULT_TOO_LARGE, INVALID_RESULT
 */
function deliverable(json: string): string {
  if (json.length > MAX_SHARD_CALL_BYTES)
    throw new PylonError(
      "RESULT_TOO_LARGE",
      `The result has more than ${MAX_SHARD_CALL_BYTES} characters of JSON.`,
    );
  try {
    return exactJson(JSON.parse(json), "result");
  } catch (error) {
    throw new PylonError("INVALID_RESULT", error instanceof Error ? error.message : String(error));
  }
}

function shownOf(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof PylonError))
    return { code: "INTERNAL", message: "The call failed: see the server's log." };
  return { code: error.code, message: error.message.slice(0, MAX_MESSAGE) };
}
