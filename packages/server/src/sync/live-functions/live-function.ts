import { LIVE_RUNS, PylonError } from "@pylonsync/protocol";
import { BroadcastGroup } from "../../connections/broadcast-group.ts";
import type { Subscriber } from "../../connections/subscriber.ts";
import type { Caller } from "../../identity/identity.ts";
import type { Timer } from "../../platform.ts";
import { sha256 } from "../../util/sha256.ts";
import type { LiveConnection } from "../live/live-connection.ts";
import type { LiveOutcome } from "./calls.ts";
import type { FunctionGroup } from "./function-group.ts";
import { WatchedRead, type RowChange } from "./watched-read.ts";

/**
 * The maximum number of changes that are buffered during a run, to check whether they affect its
 * reads. With more of them, the function runs again.
 */
const MAX_CHANGES_DURING_RUN = 1_000;

/**
 * The maximum length of an outcome that is cached for later subscribers, in characters. With a
 * longer one, the function runs again for them.
 */
const MAX_CACHED_CHARACTERS = 64 * 1024;

/** The least time between the starts of two runs, in milliseconds. */
const MIN_PAUSE_MS = 1000 / LIVE_RUNS.perSecond;

/** The message of an outcome, without the subscription and the position. */
interface OutcomeMessage {
  readonly type: "result" | "failed";
  readonly body: string;
}

/** The last outcome. */
interface CachedOutcome {
  /** Null if it is too long, or depends on the time. */
  readonly message: OutcomeMessage | null;
  /** Equal for equal outcomes. */
  readonly digest: string;
}

/** The parameters of a live function. */
export interface LiveFunctionParts {
  readonly number: number;
  readonly group: FunctionGroup;
  /** The caller as whom the function runs. */
  readonly caller: Caller;
  readonly seed: string;
}

/**
 * A query function with its arguments, whose result is sent to its subscribers whenever it changes.
 * It is shared by all callers or, if it reads the identity of the caller, by the callers that it
 * can't distinguish.
 *
 * States: `idle` -> `scheduled` -> `running` -> `idle`. A change during a run marks the result as
 * outdated, and the function runs again.
 */
export class LiveFunction {
  /** Its name in messages. */
  readonly number: number;
  readonly group: FunctionGroup;
  readonly caller: Caller;
  readonly seed: string;
  /** All subscribers, with their connections. */
  readonly connections = new Map<Subscriber, LiveConnection>();
  state: "idle" | "scheduled" | "running" = "idle";
  isOutdated = true;
  /** When the last run began, in milliseconds of the monotonic clock. */
  startedAt = -Infinity;
  /** The least time from the start of a run to that of the next one, in milliseconds. */
  pauseMs = MIN_PAUSE_MS;
  /** The number of consecutive runs that failed temporarily. */
  failures = 0;
  runs = 0;
  timer: Timer | null = null;
  /** Whether it waits for a retry after a temporary failure. */
  isPaused = false;
  reads: readonly WatchedRead<LiveFunction>[] = [];
  /** The subscribers that have received the last outcome. */
  readonly #members = new BroadcastGroup();
  /**
   * The subscribers that receive the outcome of the next run, or the last outcome if it is up to
   * date.
   */
  #waiting = new Set<Subscriber>();
  /** The subscribers that receive the outcome of the current run. */
  #served = new Set<Subscriber>();
  #changesDuringRun: RowChange[] = [];
  #abort = new AbortController();
  /** The last outcome. */
  #cached: CachedOutcome | null = null;
  #seq = 0;

  constructor({ number, group, caller, seed }: LiveFunctionParts) {
    this.number = number;
    this.group = group;
    this.caller = caller;
    this.seed = seed;
  }

  /** Whether the cached outcome is up to date with the changes that the feed has delivered. */
  get isFresh(): boolean {
    return (this.#cached?.message ?? null) !== null && this.state === "idle" && !this.isOutdated;
  }

  get isUnused(): boolean {
    return this.connections.size === 0;
  }

  /**
   * Sends the cached outcome if it is up to date; otherwise the subscriber receives the next one.
   * Called when everything that was committed before the request has been delivered.
   */
  sendOrWait(subscriber: Subscriber): void {
    if (!this.connections.has(subscriber)) return;
    const message = this.isFresh ? (this.#cached?.message ?? null) : null;
    if (message !== null) this.#sendTo(subscriber, message);
    else this.#waiting.add(subscriber);
  }

  remove(subscriber: Subscriber): void {
    this.connections.delete(subscriber);
    this.#members.delete(subscriber);
    this.#waiting.delete(subscriber);
    this.#served.delete(subscriber);
  }

  /**
   * Begins a run.
   *
   * @param seq the position of the feed: the run sees all changes up to it
   */
  begin(seq: number, startedAt: number): AbortSignal {
    this.state = "running";
    this.isOutdated = false;
    this.startedAt = startedAt;
    this.runs += 1;
    this.#seq = seq;
    this.#served = this.#waiting;
    this.#waiting = new Set();
    this.#changesDuringRun = [];
    this.#abort = new AbortController();
    return this.#abort.signal;
  }

  /** Called for each change that is delivered during a run. */
  onChange(record: RowChange): void {
    if (this.#changesDuringRun.length < MAX_CHANGES_DURING_RUN) this.#changesDuringRun.push(record);
    else this.isOutdated = true;
  }

  /** Ends a run. */
  end({ reads, pauseMs = 0 }: Pick<LiveOutcome, "reads" | "pauseMs">): void {
    this.state = "idle";
    this.pauseMs = Math.max(MIN_PAUSE_MS, pauseMs);
    this.reads = reads.map((read) => new WatchedRead(this, read));
    this.isOutdated ||= this.#changesDuringRun.some((record) =>
      this.reads.some((read) => read.isTouchedBy(record)),
    );
    this.#changesDuringRun = [];
  }

  /** Ends a run that failed temporarily: its subscribers wait for the next run. */
  fail(): void {
    this.state = "idle";
    this.isOutdated = true;
    this.#changesDuringRun = [];
    for (const subscriber of this.#served) this.#waiting.add(subscriber);
    this.#served.clear();
  }

  /** Sends the outcome to all waiting subscribers, and to the others if it is a different one. */
  publish({
    result,
    compared,
    isTimed = false,
  }: Pick<LiveOutcome, "result" | "compared" | "isTimed">): void {
    const message = messageOf(result);
    const cached = cachedOutcomeOf(message, compared ?? message.body, isTimed);
    if (this.#cached?.digest !== cached.digest && this.#members.size > 0)
      this.#members.send(this.#text(message));
    this.#cached = cached;
    const served = [...this.#served, ...(this.isOutdated ? [] : this.#waiting)];
    this.#served.clear();
    if (!this.isOutdated) this.#waiting.clear();
    for (const subscriber of served) this.#sendTo(subscriber, message);
  }

  /** Aborts the current run, and cancels the next one. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    // As for a call whose client has disconnected, this does not count as an error.
    this.#abort.abort(new PylonError("INTERNAL", "The last subscription has ended."));
  }

  #sendTo(subscriber: Subscriber, message: OutcomeMessage): void {
    subscriber.sendRequested(this.#text(message));
    this.#members.add(subscriber);
  }

  #text({ type, body }: OutcomeMessage): string {
    return `{"type":"${type}","sub":${this.number},"seq":${this.#seq},${body}}`;
  }
}

function cachedOutcomeOf(
  message: OutcomeMessage,
  compared: string,
  isTimed: boolean,
): CachedOutcome {
  const { type, body } = message;
  return {
    message: !isTimed && body.length <= MAX_CACHED_CHARACTERS ? message : null,
    digest: sha256(`${type} ${compared}`),
  };
}

function messageOf(result: LiveOutcome["result"]): OutcomeMessage {
  if (typeof result === "string") return { type: "result", body: `"value":${result}` };
  const { code, message, hint, field, data } = result;
  const text = JSON.stringify({ code, message, hint, field, data });
  return { type: "failed", body: text.slice(1, -1) };
}
