import { existsSync, promises } from "node:fs";
import { join } from "node:path";
import type { BackupOutcome } from "@pylonsync/server";
import { timeStamp } from "../time-stamp.ts";
import { CONTENTS } from "./backup-folder.ts";
import { PARTIAL } from "./make-backup.ts";

const HOUR_MS = 60 * 60 * 1000;
/**
 * How often it checks whether a backup is due, in milliseconds: a timer for the time itself would
 * not survive a change of the clock, nor a year.
 */
const POLL_MS = 60_000;
const RETRY_MS = HOUR_MS;
/** The format of `timeStamp`. */
const NAME = /^(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d)-(\d{3}Z)$/;

/** When backups are made, where they are stored and how many are kept. */
export interface ScheduleOptions {
  /** An existing folder. */
  readonly dir: string;
  readonly hours: number;
  /** The number of newest backups that are kept. */
  readonly keep: number;
  /** Makes a sealed backup in a new folder, or throws and leaves nothing. */
  readonly make: (folder: string) => Promise<unknown>;
  readonly onResult: (folder: string, outcome: BackupOutcome) => void;
  readonly now: () => number;
}

/** Makes scheduled backups while a server runs, in folders that are named by their time. */
export class BackupSchedule {
  readonly #options: ScheduleOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isAtWork = false;
  #notBefore = 0;

  constructor(options: ScheduleOptions) {
    this.#options = options;
  }

  /** Makes a backup immediately if the newest is too old. */
  start(): void {
    this.#timer = setInterval(() => void this.look(), POLL_MS);
    this.#timer.unref();
    void this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Makes a backup if one is due; never throws. */
  async look(): Promise<void> {
    const { dir, hours, make, now, onResult } = this.#options;
    if (this.#isAtWork || now() < this.#notBefore) return;
    this.#isAtWork = true;
    const folder = join(dir, timeStamp(now()));
    try {
      const newest = (await this.#there()).at(-1);
      if (newest !== undefined && now() < timeOf(newest) + hours * HOUR_MS) return;
      await this.#forgetPartial();
      await make(folder);
      onResult(folder, "made");
      await this.#prune();
    } catch (error) {
      this.#notBefore = now() + RETRY_MS;
      onResult(folder, { error });
    } finally {
      this.#isAtWork = false;
    }
  }

  /**
   * Complete backups, the oldest first; one from the future, as after a wrong clock, does not
   * count.
   */
  async #there(): Promise<string[]> {
    const { dir, now } = this.#options;
    return (await promises.readdir(dir))
      .filter(
        (name) => NAME.test(name) && timeOf(name) <= now() && existsSync(join(dir, name, CONTENTS)),
      )
      .toSorted();
  }

  async #prune(): Promise<void> {
    const { dir, keep } = this.#options;
    for (const name of (await this.#there()).slice(0, -keep)) {
      await this.#remove(join(dir, name), async (folder) => {
        // If the server stops in between, the next one recognizes the rest as no backup.
        await promises.rename(folder, `${folder}${PARTIAL}`);
        await promises.rm(`${folder}${PARTIAL}`, { recursive: true, force: true });
      });
    }
  }

  /** Removes what a killed server left unfinished, both while making and while deleting. */
  async #forgetPartial(): Promise<void> {
    const { dir } = this.#options;
    for (const name of await promises.readdir(dir)) {
      if (name.endsWith(PARTIAL) && NAME.test(name.slice(0, -PARTIAL.length)))
        await this.#remove(join(dir, name), (folder) =>
          promises.rm(folder, { recursive: true, force: true }),
        );
    }
  }

  /**
   * A backup that can't be deleted is not an error of the new one, and is deleted with the next.
   */
  async #remove(folder: string, by: (folder: string) => Promise<void>): Promise<void> {
    try {
      await by(folder);
    } catch (error) {
      this.#options.onResult(folder, { leftover: error });
    }
  }
}

function timeOf(name: string): number {
  return Date.parse(name.replace(NAME, "$1:$2:$3.$4"));
}
