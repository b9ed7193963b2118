import type { ManifestCron } from "@pylonsync/sdk";
import { DEFAULT_QUEUE, scheduledCall, type ScheduledCall } from "../functions/scheduler.ts";
import type { Store, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { nextTime } from "./cron-time.ts";

const { crons: table } = SYSTEM_TABLES;
/** A time that is at least this long ago, in milliseconds, was missed: no server ran then. */
const MISSED_MS = 60_000;
/**
 * If a clock is set back by at most this, in milliseconds, no time runs twice. If it is set back by
 * more, it was wrong before, and the times that it ran are ignored.
 */
const SET_BACK_MS = 24 * 60 * 60_000;

/** The last and the next run of a cron. Times are in milliseconds since 1970. */
export interface CronState {
  readonly cron: ManifestCron;
  readonly lastAt: number | null;
  readonly nextAt: number | null;
}

/** Creates the job of a call, within a transaction. */
type AddJob = (tx: Transaction, call: ScheduledCall) => Promise<string>;

/**
 * Calls functions at the times that the app declares. The next time of each cron is in the store:
 * the first replica that sees that it has come creates the job and sets the following time, in one
 * transaction, so that each time has one job.
 */
export class Crons {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #add: AddJob;
  #declared: readonly ManifestCron[] = [];
  /**
   * The next time of each cron by its name, as this replica knows it: another replica may already
   * have changed it.
   */
  readonly #nextAt = new Map<string, number | null>();
  /** The time of the last check, which detects a clock that was set back. */
  #lookedAt = -Infinity;

  constructor(store: Store, now: () => number, add: AddJob) {
    this.#store = store;
    this.#now = now;
    this.#add = add;
  }

  /** Replaces the crons with those of an app that was loaded. */
  declare(crons: readonly ManifestCron[]): void {
    this.#declared = crons;
    this.#nextAt.clear();
  }

  /** When the next cron is due, in milliseconds since 1970; null if none is. */
  get nextDue(): number | null {
    const times = this.#declared.map(({ name }) =>
      this.#nextAt.has(name) ? this.#nextAt.get(name) : 0,
    );
    return times.reduce<number | null>(
      (first, at) => (at === null || at === undefined ? first : Math.min(first ?? at, at)),
      null,
    );
  }

  /**
   * Creates the jobs of all crons that are due.
   *
   * @throws the first failure, after all other crons have been called
   */
  async settleDue(): Promise<void> {
    const failures: unknown[] = [];
    if (this.#now() < this.#lookedAt) this.#nextAt.clear();
    this.#lookedAt = this.#now();
    for (const cron of this.#declared) {
      const known = this.#nextAt.get(cron.name);
      if (known === null || (known !== undefined && known > this.#now())) continue;
      try {
        const nextAt = await this.#store.transact((tx) => this.#settle(tx, cron));
        this.#nextAt.set(cron.name, nextAt);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  async states(): Promise<CronState[]> {
    // One read for all of them. There are few rows of crons of older versions of the app.
    const rows = new Map((await table.select(this.#store)).map((row) => [row.id, row]));
    return this.#declared.map((cron) => ({
      cron,
      lastAt: rows.get(cron.name)?.lastAt ?? null,
      nextAt: rows.get(cron.name)?.nextAt ?? null,
    }));
  }

  /**
   * Returns for each cron how long ago its time was, in seconds, while its job was not created; 0
   * if it is not late.
   */
  async late(): Promise<Readonly<Record<string, number>>> {
    const now = this.#now();
    const states = this.#declared.length === 0 ? [] : await this.states();
    return Object.fromEntries(
      states.map(({ cron, nextAt }) => [cron.name, Math.max(0, now - (nextAt ?? now)) / 1000]),
    );
  }

  /**
   * Calls a cron's function now, regardless of its schedule.
   *
   * @returns the job's id; null for an unknown name
   */
  async trigger(name: string): Promise<string | null> {
    const cron = this.#declared.find((declared) => declared.name === name);
    if (cron === undefined) return null;
    return this.#store.transact((tx) => this.#add(tx, callOf(cron, this.#now, false)));
  }

  /** @returns when the cron is due next, in milliseconds since 1970; null for never */
  async #settle(tx: Transaction, cron: ManifestCron): Promise<number | null> {
    const now = this.#now();
    const row = await table.get(tx, cron.name);
    const schedule = JSON.stringify([cron.schedule, cron.timezone ?? "UTC"]);
    const following = nextTime(cron.schedule, cron.timezone ?? "UTC", now);
    const next = { schedule, nextAt: following };
    if (row === null) {
      await table.insert(tx, { id: cron.name, lastAt: null, ...next });
      return following;
    }
    if (row.schedule !== schedule) {
      await table.update(tx, cron.name, next);
      return following;
    }
    const dueAt = row.nextAt;
    if (dueAt !== null && following !== null && dueAt > following && !hasRun(row, following, now)) {
      await table.update(tx, cron.name, { ...next, lastAt: null });
      return following;
    }
    if (dueAt === null || dueAt > now) return dueAt;
    if (now - dueAt < MISSED_MS || cron.missed !== "skip")
      await this.#add(tx, callOf(cron, this.#now, cron.overlap !== "run"));
    await table.update(tx, cron.name, { ...next, lastAt: now });
    return following;
  }
}

/** Whether a time in the future already ran before the clock was set back. */
function hasRun(
  { lastAt }: { readonly lastAt: number | null },
  time: number,
  now: number,
): boolean {
  return lastAt !== null && lastAt >= time && lastAt - now <= SET_BACK_MS;
}

/**
 * Returns the call of a cron's function.
 *
 * @param isAlone whether no job is created while the last one waits or runs
 * @throws PylonError INVALID_ARGS, PAYLOAD_TOO_LARGE
 */
export function callOf(cron: ManifestCron, now: () => number, isAlone: boolean): ScheduledCall {
  return scheduledCall(now, cron.function, 0, cron.args ?? {}, {
    queue: DEFAULT_QUEUE,
    ...(isAlone ? { dedupeKey: `cron ${cron.name}` } : {}),
  });
}
