import { PylonError } from "@pylonsync/protocol";
import { BroadcastGroup } from "../../connections/broadcast-group.ts";
import type { Subscriber } from "../../connections/subscriber.ts";
import type { Caller } from "../../identity/identity.ts";
import type { Timer } from "../../platform.ts";
import { sha256 } from "../../util/sha256.ts";
import type { LiveConnection } from "../live/live-connection.ts";
import type { LiveOutcome } from "./calls.ts";
import type { FunctionGroup } from "./function-group.ts";
import { WatchedRead, type RowChange } from "./watched-read.ts";

/** Changes that a run keeps, to see whether they touch what it reads; more count as touching it. */
const MAX_CHANGES_DURING_RUN = 1_000;

/**
 * Longest outcome that is kept, in characters, for those who subscribe later. For a longer one the
 * function runs again.
 */
const MAX_CACHED_CHARACTERS = 64 * 1024;

/** An outcome as it is told: a message but for its head. */
interface OutcomeMessage {
  readonly type: "result" | "failed";
  readonly body: string;
}

/** What is kept of an outcome. */
interface CachedOutcome {
  /** Null where it is too long. */
  readonly message: OutcomeMessage | null;
  /** Equal for equal outcomes. */
  readonly digest: string;
}

/** What a live function is made with. */
export interface LiveFunctionParts {
  readonly number: number;
  readonly group: FunctionGroup;
  /** As whom it runs. */
  readonly caller: Caller;
  readonly seed: string;
}

/**
 * A query function with its arguments that subscribers are kept up to date on: one for all callers,
 * or once it has looked at who calls, one for those who are alike to it.
 *
 * `idle` -> `scheduled` -> `running` -> `idle`; what happens meanwhile makes it outdated, and it
 * runs once more.
 */
export class LiveFunction {
  /** Its name in messages. */
  readonly number: number;
  readonly group: FunctionGroup;
  readonly caller: Caller;
  readonly seed: string;
  /** All who subscribe, by their connections. */
  readonly connections = new Map<Subscriber, LiveConnection>();
  state: "idle" | "scheduled" | "running" = "idle";
  isOutdated = true;
  /** When the last run began, in milliseconds of the monotonic clock. */
  startedAt = -Infinity;
  /** How many runs in a row could not be made. */
  failures = 0;
  runs = 0;
  timer: Timer | null = null;
  /** It waits for longer than its turn, because a run could not be made. */
  isPaused = false;
  reads: readonly WatchedRead<LiveFunction>[] = [];
  /** Those who were told the last outcome. */
  readonly #members = new BroadcastGroup();
  /** Those who are told the outcome of the next run to begin, or one that is known to be new. */
  #waiting = new Set<Subscriber>();
  /** Those who are told the outcome of the run. */
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

  /** Whether the last outcome is as new as what the feed has delivered. */
  get isFresh(): boolean {
    return (this.#cached?.message ?? null) !== null && this.state === "idle" && !this.isOutdated;
  }

  get isUnused(): boolean {
    return this.connections.size === 0;
  }

  /** Everything that was committed before the subscriber asked was delivered. */
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

  /** A run begins. @param seq where the feed is: the run sees all up to there */
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

  /** A change was delivered while it runs. */
  onChange(record: RowChange): void {
    if (this.#changesDuringRun.length < MAX_CHANGES_DURING_RUN) this.#changesDuringRun.push(record);
    else this.isOutdated = true;
  }

  /** The run has ended. */
  end({ reads }: Pick<LiveOutcome, "reads">): void {
    this.state = "idle";
    this.reads = reads.map((read) => new WatchedRead(this, read));
    this.isOutdated ||= this.#changesDuringRun.some((record) =>
      this.reads.some((read) => read.isTouchedBy(record)),
    );
    this.#changesDuringRun = [];
  }

  /** The run came to nothing: those who wait for it wait for the next one. */
  fail(): void {
    this.state = "idle";
    this.isOutdated = true;
    this.#changesDuringRun = [];
    for (const subscriber of this.#served) this.#waiting.add(subscriber);
    this.#served.clear();
  }

  /** Tells the outcome: to the members when it is another one, and to all who wait for it. */
  publish(outcome: string | PylonError): void {
    const message = messageOf(outcome);
    const cached = cachedOutcomeOf(message);
    if (this.#cached?.digest !== cached.digest && this.#members.size > 0)
      this.#members.send(this.#text(message));
    this.#cached = cached;
    const served = [...this.#served, ...(this.isOutdated ? [] : this.#waiting)];
    this.#served.clear();
    if (!this.isOutdated) this.#waiting.clear();
    for (const subscriber of served) this.#sendTo(subscriber, message);
  }

  /** Ends a run that nobody waits for, and what was to come. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    // As for a call whose client went away, this is a failure of nobody.
    this.#abort.abort(new PylonError("INTERNAL", "The last subscription has ended."));
  }

  #sendTo(subscriber: Subscriber, message: OutcomeMessage): void {
    subscriber.send(this.#text(message));
    this.#members.add(subscriber);
  }

  #text({ type, body }: OutcomeMessage): string {
    return `{"type":"${type}","sub":${this.number},"seq":${this.#seq},${body}}`;
  }
}

function cachedOutcomeOf(message: OutcomeMessage): CachedOutcome {
  const { type, body } = message;
  return {
    message: body.length <= MAX_CACHED_CHARACTERS ? message : null,
    digest: sha256(`${type} ${body}`),
  };
}

function messageOf(outcome: string | PylonError): OutcomeMessage {
  if (typeof outcome === "string") return { type: "result", body: `"value":${outcome}` };
  const { code, message, hint, field, data } = outcome;
  const text = JSON.stringify({ code, message, hint, field, data });
  return { type: "failed", body: text.slice(1, -1) };
}
