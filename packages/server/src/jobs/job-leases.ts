import type { Platform } from "../platform.ts";
import type { RowPlace, RowUpdate, StoredRow, Transaction, Value } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { isoOf, toJob } from "./job-row.ts";
import type { Job, LeasedJob } from "./job.ts";
import { updateRows } from "./update-rows.ts";

const TABLE = SYSTEM_TABLES.jobs.name;

/** The update that gives a row's job to this runner. */
interface LeaseOf extends RowUpdate {
  readonly job: LeasedJob;
}

/** Gives jobs to this runner, and makes the changes that only the holder of a lease may make. */
export class JobLeases {
  readonly #platform: Platform;
  readonly #places = new WeakMap<LeasedJob, RowPlace>();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** Gives jobs to this runner. @param leaseMsOf the duration of a job's lease, in milliseconds */
  async give(
    tx: Transaction,
    rows: readonly StoredRow[],
    leaseMsOf: (job: Job) => number,
  ): Promise<LeasedJob[]> {
    // No other attempt at any of these jobs has this lease.
    const lease = this.#platform.uuid();
    const now = this.#platform.now();
    const leased = rows.map((row) => leaseOf(row, { lease, now, leaseMsOf }));
    const places = await tx.updateMany(TABLE, leased);
    for (const { id, job } of leased) this.#places.set(job, places.get(id) ?? null);
    return leased.map(({ job }) => job);
  }

  /** Updates a job if its lease is still valid. @returns whether it is */
  async update(
    tx: Transaction,
    job: LeasedJob,
    patch: Readonly<Record<string, Value>>,
  ): Promise<boolean> {
    return (await this.updateAll(tx, [{ job, patch }])).has(job);
  }

  /**
   * Updates the jobs whose leases are still valid: a job that another runner took has another
   * lease.
   *
   * @returns those jobs
   */
  async updateAll(
    tx: Transaction,
    updates: readonly { readonly job: LeasedJob; readonly patch: RowUpdate["patch"] }[],
  ): Promise<ReadonlySet<LeasedJob>> {
    const places = await updateRows(
      tx,
      updates.map(({ job, patch }) => this.heldUpdate(job, patch)),
    );
    const held = updates.flatMap(({ job }) => (places.has(job.id) ? [job] : []));
    for (const job of held) this.#places.set(job, places.get(job.id) ?? null);
    return new Set(held);
  }

  /** Returns an update that only the holder of the job's lease can make. */
  heldUpdate(job: LeasedJob, patch: RowUpdate["patch"]): RowUpdate {
    return { id: job.id, patch, expected: { lease: job.lease }, place: this.#places.get(job) };
  }
}

function leaseOf(
  row: StoredRow,
  given: {
    readonly lease: string;
    readonly now: number;
    readonly leaseMsOf: (job: Job) => number;
  },
): LeaseOf {
  const { lease, now } = given;
  const before = toJob(row);
  const attempts = before.attempts + 1;
  const dueAt = now + given.leaseMsOf(before);
  const kept = { status: "running", attempts, lease, error: null, progress: null } as const;
  return {
    id: row.id,
    patch: { ...kept, startedAt: isoOf(now), dueAt: isoOf(dueAt), readyKey: null },
    job: { ...before, ...kept, startedAt: now, dueAt },
  };
}
