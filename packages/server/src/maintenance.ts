import type { Auth } from "./auth/auth.ts";
import { forgetOldAnswers } from "./data/idempotency.ts";
import { dropExcessAnswers } from "./data/kept-answers.ts";
import type { FileCleanup } from "./files/file-cleanup.ts";
import type { Jobs } from "./jobs/jobs.ts";
import type { Platform, Timer } from "./platform.ts";
import type { ShardStorage } from "./shards/shard-storage.ts";
import type { Store } from "./store/store.ts";
import type { Workflows } from "./workflows/workflows.ts";

const EVERY_MS = 60_000;

/** The services that are maintained. */
export interface MaintenanceServices {
  readonly store: Pick<Store, "trimLog" | "transact" | "aggregate">;
  readonly auth: Pick<Auth, "forgetExpired">;
  readonly files: Pick<FileCleanup, "run">;
  readonly jobs: Pick<Jobs, "forgetOld">;
  readonly workflows: Pick<Workflows, "forgetOld">;
  readonly shards: Pick<ShardStorage, "forgetOld">;
  readonly platform: Pick<Platform, "now" | "every">;
  /** The maximum number of changes that the log keeps. */
  readonly changeLogMax: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Deletes what is no longer needed: old changes, old responses, expired sessions, files without a
 * row.
 */
export class Maintenance {
  readonly #services: MaintenanceServices;
  readonly #running = new Set<Promise<void>>();
  #timer: Timer | null = null;
  #isStopping = false;

  constructor(services: MaintenanceServices) {
    this.#services = services;
  }

  /** Starts to run once a minute. */
  start(): void {
    this.#timer = this.#services.platform.every(EVERY_MS, () => void this.run()).unref();
  }

  /**
   * Starts no more work. The current step may continue for a while: close the store after it.
   *
   * @returns a promise for the end of the current step
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#timer?.cancel();
    await Promise.all(this.#running);
  }

  /** Does all of it now, unless it is being stopped. Never rejects. */
  run(): Promise<void> {
    const run = this.#run().finally(() => this.#running.delete(run));
    this.#running.add(run);
    return run;
  }

  async #run(): Promise<void> {
    const { store, auth, files, jobs, workflows, shards, platform, changeLogMax, onError } =
      this.#services;
    const database = [
      () => store.trimLog(changeLogMax),
      () => store.transact((tx) => forgetOldAnswers(tx, platform.now())),
      () => dropExcessAnswers(store, platform.now()),
      () => auth.forgetExpired(),
      () => jobs.forgetOld(),
      () => workflows.forgetOld(),
      () => shards.forgetOld(),
    ];
    try {
      for (const step of database) {
        if (this.#isStopping) return;
        await step();
      }
    } catch (error) {
      onError(error);
    }
    // Independently: the storage may be down while the database is not.
    if (!this.#isStopping) await files.run().catch(onError);
  }
}
