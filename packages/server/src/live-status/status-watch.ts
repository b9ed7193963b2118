import type { Platform, Timer } from "../platform.ts";
import type { Store } from "../store/store.ts";
import { versionsOf, type StatusKind } from "./status-versions.ts";

/** The polling interval, in milliseconds. */
const POLL_MS = 250;
/** The interval after a failed poll: the database may be unavailable. */
const POLL_AFTER_FAILURE_MS = 5_000;

/** One job or run that is followed. */
interface Watched {
  readonly kind: StatusKind;
  readonly id: string;
  /** Its version when it was read last; undefined if it did not exist. */
  version: string | undefined;
}

/** The dependencies of the watch. */
export interface StatusWatchOptions {
  readonly store: Store;
  readonly platform: Pick<Platform, "after">;
  /** Called with those that have changed. */
  readonly onChanged: (kind: StatusKind, id: string) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Polls the jobs and runs that clients of this replica follow, all of them together, while there
 * are any. Their rows are not in the change log: each start and end of a job would be an entry for
 * every replica, although hardly any job is followed.
 */
export class StatusWatch {
  readonly #options: StatusWatchOptions;
  /** By the name of the live function that shows it. */
  readonly #watched = new Map<string, Watched>();
  #timer: Timer | null = null;
  #isLooking = false;

  constructor(options: StatusWatchOptions) {
    this.#options = options;
  }

  /** The number of live functions that show one. */
  get size(): number {
    return this.#watched.size;
  }

  /**
   * A live function is about to read it: reports when it has changed since now, until the signal.
   *
   * @param follower identifies the live function, whose earlier read is replaced
   */
  async follow(follower: string, kind: StatusKind, id: string, signal: AbortSignal): Promise<void> {
    // Before it is read, so that the next poll finds changes in between.
    const version = (await versionsOf(this.#options.store, kind, [id])).get(id);
    if (signal.aborted) return;
    const followed: Watched = { kind, id, version };
    this.#watched.set(follower, followed);
    const forget = (): void => {
      if (this.#watched.get(follower) === followed) this.#watched.delete(follower);
    };
    signal.addEventListener("abort", forget, { once: true });
    this.#plan(POLL_MS);
  }

  #plan(ms: number): void {
    if (this.#timer !== null || this.#isLooking || this.#watched.size === 0) return;
    this.#timer = this.#options.platform.after(ms, () => void this.#look()).unref();
  }

  async #look(): Promise<void> {
    this.#timer = null;
    this.#isLooking = true;
    let isFailed = false;
    try {
      await this.#poll("job");
      await this.#poll("workflow");
    } catch (error) {
      isFailed = true;
      this.#options.onError(error);
    }
    this.#isLooking = false;
    this.#plan(isFailed ? POLL_AFTER_FAILURE_MS : POLL_MS);
  }

  async #poll(kind: StatusKind): Promise<void> {
    const all = [...this.#watched].filter(([, followed]) => followed.kind === kind);
    const ids = [...new Set(all.map(([, { id }]) => id))];
    if (ids.length === 0) return;
    const versions = await versionsOf(this.#options.store, kind, ids);
    const changed = new Set<string>();
    for (const [follower, followed] of all) {
      // It was read again in the meantime.
      if (this.#watched.get(follower) !== followed) continue;
      const version = versions.get(followed.id);
      if (version === followed.version) continue;
      followed.version = version;
      changed.add(followed.id);
    }
    for (const id of changed) this.#options.onChanged(kind, id);
  }
}
