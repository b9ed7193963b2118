import type { ManifestCron } from "@pylonsync/sdk";
import { DEFAULT_QUEUE, scheduledCall, type ScheduledCall } from "../functions/scheduler.ts";
import type { Store, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { nextTime } from "./cron-time.ts";

const { crons: table } = SYSTEM_TABLES;
/** A time that is this long ago, in milliseconds, was missed: no server looked meanwhile. */
const MISSED_MS = 60_000;
/**
 * A clock that is set back by up to this, in milliseconds, runs no time twice. One that is set back
 * by more was wrong before: the times since count no longer.
 */
const SET_BACK_MS = 24 * 60 * 60_000;

/** What a cron did and will do. Times are in milliseconds since 1970. */
export interface CronState {
  readonly cron: ManifestCron;
  readonly lastAt: number | null;
  readonly nextAt: number | null;
}

/** Makes the job of a call, within a transaction. */
type AddJob = (tx: Transaction, call: ScheduledCall) => Promise<string>;

/**
 * Calls functions at the times that the app declares. When the next time of a cron is stands in the
 * store: whichever replica sees first that it has come makes the job and moves it on, in one
 * transaction, so that each time has one job.
 */
export class Crons {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #add: AddJob;
  #declared: readonly ManifestCron[] = [];
  /** By name, as far as this replica knows: another one may have moved it on already. */
  readonly #nextAt = new Map<string, number | null>();
  /** When it was looked last: a clock that is set back is noticed. */
  #lookedAt = -Infinity;

  constructor(store: Store, now: () => number, add: AddJob) {
    this.#store = store;
    this.#now = now;
    this.#add = add;
  }

  /** Takes the crons of an app that was loaded. */
  declare(crons: readonly ManifestCron[]): void {
    this.#declared = crons;
    this.#nextAt.clear();
  }

  /** When the next of them is due, in milliseconds since 1970; null when none is. */
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
   * Makes the jobs of all whose time has come.
   *
   * @throws the first failure, after all others have been called
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
    // In one read, however many there are; those of older versions of the app are few.
    const rows = new Map((await table.select(this.#store)).map((row) => [row.id, row]));
    return this.#declared.map((cron) => ({
      cron,
      lastAt: rows.get(cron.name)?.lastAt ?? null,
      nextAt: rows.get(cron.name)?.nextAt ?? null,
    }));
  }

  /** For how long the time of each is over without its job having been made, in seconds. */
  async late(): Promise<Readonly<Record<string, number>>> {
    const now = this.#now();
    const states = this.#declared.length === 0 ? [] : await this.states();
    return Object.fromEntries(
      states.map(({ cron, nextAt }) => [cron.name, Math.max(0, now - (nextAt ?? now)) / 1000]),
    );
  }

  /** Calls it now, whatever its schedule says. @returns the job's id; null for an unknown name */
  async trigger(name: string): Promise<string | null> {
    const cron = this.#declared.find((declared) => declared.name === name);
    if (cron === undefined) return null;
    return this.#store.transact((tx) => this.#add(tx, callOf(cron, this.#now, false)));
  }

  /** @returns when it is due next */
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

/** Whether a time that is to come has been run already, before the clock was set back. */
function hasRun(
  { lastAt }: { readonly lastAt: number | null },
  time: number,
  now: number,
): boolean {
  return lastAt !== null && lastAt >= time && lastAt - now <= SET_BACK_MS;
}

/**
 * The call of a cron's function.
 *
 * @param isAlone none is made while the last one waits or runs
 * @throws PylonError INVALID_ARGS, PAYLOAD_TOO_LARGE
 */
export function callOf(cron: ManifestCron, now: () => number, isAlone: boolean): ScheduledCall {
  return scheduledCall(now, cron.function, 0, cron.args ?? {}, {
    queue: DEFAULT_QUEUE,
    ...(isAlone ? { dedupeKey: `cron ${cron.name}` } : {}),
  });
}
