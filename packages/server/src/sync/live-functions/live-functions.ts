import { LIVE_RUNS, type PylonError, type SubscribeFunction } from "@pylonsync/protocol";
import pLimit from "p-limit";
import type { Caller } from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";
import { userShare } from "../../request/reading.ts";
import type { FeedLine } from "../feed-line.ts";
import type { LiveConnection } from "../live/live-connection.ts";
import type { LiveFunctionCalls, LiveOutcome } from "./calls.ts";
import { FunctionGroup } from "./function-group.ts";
import { LiveFunction } from "./live-function.ts";
import { ReadIndex } from "./read-index.ts";
import type { RowChange } from "./watched-read.ts";

const MIN_INTERVAL_MS = 1000 / LIVE_RUNS.perSecond;
/** The pauses before a run that could not be made is tried again, in milliseconds. */
const RETRY_MS = { first: 1_000, longest: 30_000 };

/** What live functions run on. */
export interface LiveFunctionsOptions {
  readonly calls: LiveFunctionCalls;
  readonly line: FeedLine;
  readonly platform: Pick<Platform, "monotonic" | "after" | "uuid">;
  /** @returns a number that no other subscription has */
  readonly nextNumber: () => number;
  /** A subscription has ended for a connection. */
  readonly onRefused: (connection: LiveConnection, one: LiveFunction, error: unknown) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Query functions that clients subscribe to. Each is run, and what it reads is noted; a change that
 * touches that runs it again, and subscribers are told when the result is another one.
 *
 * A run sees the database as it is when it begins, which may be ahead of the feed. So it is told to
 * nobody before the feed has delivered all that the run may have seen: whose session ended before
 * has been cut off then.
 */
export class LiveFunctions {
  readonly #options: LiveFunctionsOptions;
  readonly #groups = new Map<string, FunctionGroup>();
  readonly #index = new ReadIndex<LiveFunction>();
  readonly #running = new Set<LiveFunction>();
  /** Those that changes have touched since the last `flush`. */
  readonly #touched = new Set<LiveFunction>();
  readonly #turns = pLimit(LIVE_RUNS.atOnce);
  /** Shared by all who subscribe in the same turn. */
  #settling: Promise<void> | null = null;

  constructor(options: LiveFunctionsOptions) {
    this.#options = options;
  }

  /** How many there are. */
  get size(): number {
    let size = 0;
    for (const { functions } of this.#groups.values()) size += [...functions].length;
    return size;
  }

  /** Whether there is none, and nothing is kept of one. */
  get isEmpty(): boolean {
    return this.#groups.size === 0 && this.#index.isEmpty && this.#touched.size === 0;
  }

  /** @throws PylonError when the caller may not subscribe to it */
  subscribe(
    connection: LiveConnection,
    { id, function: name, args = {} }: SubscribeFunction,
  ): void {
    const { caller } = connection.subscriber;
    this.#options.calls.check(name, args, caller);
    const key = FunctionGroup.keyOf(name, args);
    const group = this.#groups.get(key) ?? new FunctionGroup(name, args);
    this.#groups.set(key, group);
    const known = group.find(caller);
    const one = known ?? this.#create(group, caller);
    connection.add(id, one);
    this.#join(one, connection, [id], known === undefined);
  }

  /** The connection no longer subscribes to it. */
  unsubscribe(connection: LiveConnection, one: LiveFunction): void {
    one.remove(connection.subscriber);
    this.#release(one);
  }

  /** A change is delivered. */
  onChange(record: RowChange): void {
    for (const one of this.#running) one.onChange(record);
    this.#index.find(record, this.#touched);
  }

  /** Runs what the changes since the last call have touched. */
  flush(): void {
    if (this.#touched.size === 0) return;
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const one of touched) this.#invalidate(one);
  }

  /** The app's functions are others: each runs again. */
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

  /** What a client has seen already was committed before this: no result may go back. */
  async #serve(one: LiveFunction, connection: LiveConnection, isFirst: boolean): Promise<void> {
    const { subscriber } = connection;
    const { calls } = this.#options;
    if (isFirst)
      await calls.count(one.group.name, subscriber.caller, `connection ${subscriber.id}`);
    await this.#settle();
    one.sendOrWait(subscriber);
    if (!one.isFresh && !one.isUnused) this.#schedule(one);
  }

  #settle(): Promise<void> {
    this.#settling ??= Promise.resolve().then(() => {
      this.#settling = null;
      return this.#options.line.settle();
    });
    return this.#settling;
  }

  #invalidate(one: LiveFunction): void {
    one.isOutdated = true;
    this.#schedule(one);
  }

  /** One that runs is run again when it has ended. */
  #schedule(one: LiveFunction, waitMs = 0): void {
    if (one.isPaused) {
      one.timer?.cancel();
      one.state = "idle";
    }
    if (one.state !== "idle" || one.isUnused) return;
    one.state = "scheduled";
    one.isPaused = waitMs > 0;
    const { platform } = this.#options;
    const pause = Math.max(waitMs, one.startedAt + MIN_INTERVAL_MS - platform.monotonic());
    const start = (): void => {
      one.timer = null;
      one.isPaused = false;
      void this.#turns(() => this.#run(one)).catch(this.#options.onError);
    };
    if (pause > 0) one.timer = platform.after(pause, start).unref();
    else start();
  }

  async #run(one: LiveFunction): Promise<void> {
    one.state = "idle";
    if (one.isUnused) return;
    const { line, platform } = this.#options;
    this.#index.delete(one.reads);
    const signal = one.begin(line.position, platform.monotonic());
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
    const { calls, line } = this.#options;
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
    if (!one.isUnused) await line.settle();
    return outcome;
  }

  #take(one: LiveFunction, outcome: LiveOutcome): void {
    const { group } = one;
    one.end(outcome);
    this.#index.add(one.reads);
    // Before anybody is told: the result is that of one caller.
    if (outcome.readsCaller && group.isShared) this.#split(one);
    one.publish(outcome.result);
    if (isTransient(outcome.result)) this.#retry(one);
    else {
      one.failures = 0;
      if (one.isOutdated) this.#schedule(one);
    }
  }

  /** Nothing that it read has to change for it to succeed. */
  #retry(one: LiveFunction): void {
    if (one.state === "running") one.fail();
    one.isOutdated = true;
    const wait = Math.min(RETRY_MS.first * 2 ** one.failures, RETRY_MS.longest);
    one.failures += 1;
    this.#schedule(one, wait);
  }

  /** Gives each who is not like its caller a live function of their own kind. */
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

/** Runs for everybody use a share of their own. */
function shareOf({ group, caller }: LiveFunction): string {
  const own = group.isShared ? null : userShare(caller);
  return own ?? `live function ${group.name}`;
}

/** Whether it may succeed the next time, though nothing that it read has changed. */
function isTransient(result: string | PylonError): boolean {
  return typeof result !== "string" && (result.status === 503 || result.status === 504);
}
