import type { Auth } from "./auth/auth.ts";
import { forgetOldAnswers } from "./data/idempotency.ts";
import type { FileCleanup } from "./files/file-cleanup.ts";
import type { Jobs } from "./jobs/jobs.ts";
import type { Store } from "./store/store.ts";

const EVERY_MS = 60_000;

export interface MaintenanceServices {
  readonly store: Store;
  readonly auth: Pick<Auth, "forgetExpired">;
  readonly files: FileCleanup;
  readonly jobs: Pick<Jobs, "forgetOld">;
  readonly now: () => number;
  /** Most changes that the log keeps. */
  readonly changeLogMax: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Forgets what nobody needs any more: old changes, old answers, expired sessions, files without a
 * row.
 */
export class Maintenance {
  readonly #services: MaintenanceServices;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(services: MaintenanceServices) {
    this.#services = services;
  }

  start(): void {
    this.#timer = setInterval(() => void this.run(), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async run(): Promise<void> {
    const { store, auth, files, jobs, now, changeLogMax, onError } = this.#services;
    try {
      await store.trimLog(changeLogMax);
      await store.transact((tx) => forgetOldAnswers(tx, now()));
      await auth.forgetExpired();
      await jobs.forgetOld();
    } catch (error) {
      onError(error);
    }
    // By itself: the storage may be down while the database is not.
    await files.run().catch(onError);
  }
}
