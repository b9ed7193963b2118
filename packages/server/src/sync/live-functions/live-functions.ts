import { LIVE_RUNS, type PylonError, type SubscribeFunction } from "@pylonsync/protocol";
import pLimit from "p-limit";
import type { Caller } from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";
import { readerShare, userShare } from "../../request/reading.ts";
import { FairTurns } from "../../util/fair-turns.ts";
import type { DeliveryQueue } from "../delivery-queue.ts";
import type { LiveConnection } from "../live/live-connection.ts";
import { checkWeight } from "../live/subscription-weight.ts";
import type { LiveFunctionCalls, LiveOutcome } from "./calls.ts";
import { FunctionGroup } from "./function-group.ts";
import { LiveFunction } from "./live-function.ts";
import { ReadIndex } from "./read-index.ts";
import type { RowChange } from "./watched-read.ts";

/** The delays before a run that failed temporarily is retried, in milliseconds. */
const RETRY_MS = { first: 1_000, longest: 30_000 };

/** The dependencies of live functions. */
export interface LiveFunctionsOptions {
  readonly calls: LiveFunctionCalls;
  readonly queue: Pick<DeliveryQueue, "position" | "settle">;
  readonly platform: Pick<Platform, "monotonic" | "after" | "uuid">;
  /** Returns a number that no other subscription has. */
  readonly nextNumber: () => number;
  /** Called when a subscription of a connection is rejected. */
  readonly onRefused: (connection: LiveConnection, one: LiveFunction, error: unknown) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * The query functions that clients subscribe to. The reads of each run are recorded; a change that
 * affects them runs the function again, and its subscribers receive the result if it is different.
 *
 * A run sees the database at its start, which may be ahead of the feed. So its result is sent only
 * when the feed has delivered everything that the run may have seen: connections whose session
 * ended before have been closed by then.
 */
export class LiveFunctions {
  readonly #options: LiveFunctionsOptions;
  readonly #groups = new Map<string, FunctionGroup>();
  readonly #index = new ReadIndex<LiveFunction>();
  readonly #running = new Set<LiveFunction>();
  /** The functions that were affected by changes since the last `flush`. */
  readonly #touched = new Set<LiveFunction>();
  readonly #turns = pLimit(LIVE_RUNS.atOnce);
  /** Of reads: the rest of them does not wait in the store, which rejects reads if many wait. */
  readonly #readTurns = new FairTurns({
    atOnce: LIVE_RUNS.readsAtOnce,
    perCaller: LIVE_RUNS.readsPerCaller,
  });
  /** Shared by all subscriptions in the same turn of the event loop. */
  #settling: Promise<void> | null = null;

  constructor(options: LiveFunctionsOptions) {
    this.#options = options;
  }

  /** The number of live functions. */
  get size(): number {
    let size = 0;
    for (const { functions } of this.#groups.values()) size += [...functions].length;
    return size;
  }

  /** Whether there are no live functions, and nothing of ended ones is stored. */
  get isEmpty(): boolean {
    return this.#groups.size === 0 && this.#index.isEmpty && this.#touched.size === 0;
  }

  /**
   * @param characters the length of the request that is kept
   * @throws PylonError if the caller may not subscribe to the function
   */
  subscribe(
    connection: LiveConnection,
    { id, function: name, args = {} }: SubscribeFunction,
    characters = 0,
  ): void {
    const { caller } = connection.subscriber;
    const terms = this.#options.calls.check(name, args, caller);
    const weight = { characters, searches: terms.searches ?? 0 };
    checkWeight(connection.weight, weight);
    const key = FunctionGroup.keyOf(name, args, terms);
    const group = this.#groups.get(key) ?? new FunctionGroup(name, args, terms);
    this.#groups.set(key, group);
    const known = group.find(caller);
    const one = known ?? this.#create(group, caller);
    connection.add(id, one);
    connection.weigh(id, weight);
    this.#join(one, connection, [id], known === undefined);
  }

  /** Removes the subscription of a connection. */
  unsubscribe(connection: LiveConnection, one: LiveFunction): void {
    one.remove(connection.subscriber);
    this.#release(one);
  }

  /** Called for each change that is delivered. */
  onChange(record: RowChange): void {
    for (const one of this.#running) one.onChange(record);
    this.#index.find(record, this.#touched);
  }

  /** Runs the functions that were affected by the changes since the last call. */
  flush(): void {
    if (this.#touched.size === 0) return;
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const one of touched) this.#invalidate(one);
  }

  /** Runs all functions again, because the app's code was replaced. */
  rerunAll(): void {
    for (const { functions } of this.#groups.values())
      for (const one of functions) this.#invalidate(one);
  }

  #create(group: FunctionGroup, caller: Caller): LiveFunction {
    const { nextNumber, platform } = this.#options;
    const one = new LiveFunction({ number: nextNumber(), group, caller, seed: platform.uuid() });
    group.add(one);
    return one;
  }

  #join(
    one: LiveFunction,
    connection: LiveConnection,
    ids: readonly number[],
    isFirst: boolean,
  ): void {
    const { subscriber } = connection;
    one.connections.set(subscriber, connection);
    for (const id of ids) connection.send({ type: "joined", id, sub: one.number });
    void this.#serve(one, connection, isFirst).catch((error: unknown) => {
      if (one.connections.has(subscriber)) this.#options.onRefused(connection, one, error);
    });
  }

  /**
   * Everything that the client has already received was committed before this: results must not go
   * back in time.
   */
  async #serve(one: LiveFunction, connection: LiveConnection, isFirst: boolean): Promise<void> {
    const { subscriber } = connection;
    const { calls } = this.#options;
    if (isFirst) await calls.count(one.group.name, subscriber.caller, subscriber.address);
    await this.#settle();
    one.sendOrWait(subscriber);
    if (!one.isFresh && !one.isUnused) this.#schedule(one);
  }

  #settle(): Promise<void> {
    this.#settling ??= Promise.resolve().then(() => {
      this.#settling = null;
      return this.#options.queue.settle();
    });
    return this.#settling;
  }

  #invalidate(one: LiveFunction): void {
    one.isOutdated = true;
    this.#schedule(one);
  }

  /** Schedules a run. A running function is run again after its current run. */
  #schedule(one: LiveFunction, waitMs = 0): void {
    if (one.isPaused) {
      one.timer?.cancel();
      one.state = "idle";
    }
    if (one.state !== "idle" || one.isUnused) return;
    one.state = "scheduled";
    one.isPaused = waitMs > 0;
    const { platform } = this.#options;
    const pause = Math.max(waitMs, one.startedAt + one.pauseMs - platform.monotonic());
    const start = (): void => {
      one.timer = null;
      one.isPaused = false;
      const run = (): Promise<void> => this.#run(one);
      const { isRead } = one.group;
      const ended = isRead ? this.#readTurns.run(shareOf(one), run) : this.#turns(run);
      void ended.catch(this.#options.onError);
    };
    if (pause > 0) one.timer = platform.after(pause, start).unref();
    else start();
  }

  async #run(one: LiveFunction): Promise<void> {
    one.state = "idle";
    if (one.isUnused) return;
    const { queue, platform } = this.#options;
    this.#index.delete(one.reads);
    const signal = one.begin(queue.position, platform.monotonic());
    this.#running.add(one);
    try {
      const outcome = await this.#outcomeOf(one, signal);
      this.#running.delete(one);
      if (!one.isUnused) this.#take(one, outcome);
    } catch (error) {
      this.#running.delete(one);
      this.#options.onError(error);
      this.#retry(one);
    }
  }

  async #outcomeOf(one: LiveFunction, signal: AbortSignal): Promise<LiveOutcome> {
    const { calls, queue } = this.#options;
    const { name, args } = one.group;
    const outcome = await calls.run({
      name,
      args,
      caller: one.caller,
      readerShare: () => shareOf(one),
      requestId: `live-${one.number}-${one.runs}`,
      seed: one.seed,
      signal,
    });
    if (!one.isUnused) await queue.settle();
    return outcome;
  }

  #take(one: LiveFunction, outcome: LiveOutcome): void {
    const { group } = one;
    one.end(outcome);
    this.#index.add(one.reads);
    // Before the result is sent, because it is specific to one caller.
    if (outcome.readsCaller && group.isShared) this.#split(one);
    one.publish(outcome);
    if (isTransient(outcome.result)) this.#retry(one);
    else {
      one.failures = 0;
      if (one.isOutdated) this.#schedule(one);
    }
  }

  /** Retries a run that may succeed without a change of the data that it reads. */
  #retry(one: LiveFunction): void {
    if (one.state === "running") one.fail();
    one.isOutdated = true;
    const wait = Math.min(RETRY_MS.first * 2 ** one.failures, RETRY_MS.longest);
    one.failures += 1;
    this.#schedule(one, wait);
  }

  /**
   * Moves the subscribers that the function can distinguish from its caller to live functions of
   * their own.
   */
  #split(one: LiveFunction): void {
    const { group } = one;
    group.split();
    for (const [subscriber, connection] of [...one.connections]) {
      const { caller } = subscriber;
      if (group.areAlike(caller, one.caller)) continue;
      const other = group.find(caller) ?? this.#create(group, caller);
      one.remove(subscriber);
      this.#join(other, connection, connection.replace(one, other), false);
    }
    this.#release(one);
  }

  #release(one: LiveFunction): void {
    if (!one.isUnused) return;
    const { group } = one;
    one.stop();
    this.#touched.delete(one);
    this.#index.delete(one.reads);
    group.delete(one);
    if (group.isEmpty && this.#groups.get(group.key) === group) this.#groups.delete(group.key);
  }
}

/**
 * Runs for all callers use a separate share, except reads, whose cost a caller chooses: they use
 * that of a subscriber.
 */
function shareOf({ group, caller, connections }: LiveFunction): string {
  const [subscriber] = connections.keys();
  if (group.isRead && subscriber !== undefined) return readerShare(subscriber);
  const own = group.isShared ? null : userShare(caller);
  return own ?? `live function ${group.name}`;
}

/** Whether a retry may succeed although no data that the function reads has changed. */
function isTransient(result: string | PylonError): boolean {
  return typeof result !== "string" && (result.status === 503 || result.status === 504);
}
