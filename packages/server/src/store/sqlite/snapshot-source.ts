import type { ReadLimits } from "../store.ts";
import type { SqliteValue } from "./codec.ts";
import type { Lease } from "./lease.ts";
import type { ReadRequest } from "./reader-protocol.ts";
import type { ReadBounds, StatementSource } from "./sqlite-reader.ts";
import { runElsewhere, type LimitedServices } from "./statement-sources.ts";

type Row = Record<string, SqliteValue>;

/** A read statement, with which the transaction takes its snapshot. */
const READ_ONE = "SELECT 1 FROM sqlite_schema LIMIT 1";

/**
 * Reads that all see the database as of the first of them.
 *
 * Short reads run on the server's own connection as long as nothing is committed. The first read
 * that may take long leases a reader process, which runs all later ones in one transaction. If
 * something was committed between the two, the reads are inconsistent, and the work must run again
 * with all of its reads in one process.
 */
export class SnapshotSource implements StatementSource {
  readonly #services: LimitedServices;
  readonly #limits: ReadLimits;
  readonly #commits: () => number;
  readonly #isElsewhere: boolean;
  /** The number of commits at the first read. */
  #asOf: number | null = null;
  #leased: Promise<Lease> | null = null;
  #lease: Lease | null = null;
  #isInconsistent = false;
  #isOver = false;

  /**
   * @param commits returns the number of commits so far
   * @param isElsewhere whether all reads run in one reader process
   */
  constructor(
    services: LimitedServices,
    limits: ReadLimits,
    commits: () => number,
    isElsewhere: boolean,
  ) {
    this.#services = services;
    this.#limits = limits;
    this.#commits = commits;
    this.#isElsewhere = isElsewhere;
  }

  /** Whether the reads did not all see the same state. */
  get isInconsistent(): boolean {
    return this.#isInconsistent;
  }

  first(text: string, params: readonly SqliteValue[]): Row | null | Promise<Row | null> {
    if (this.#mayReadHere()) return this.#services.own.first(text, params);
    return this.#readElsewhere({ text, params }).then(([row = null]) => row);
  }

  all(text: string, params: readonly SqliteValue[], bounds: ReadBounds): Row[] | Promise<Row[]> {
    const { own, plans } = this.#services;
    return plans.isShort(text, bounds.isBounded) && this.#mayReadHere()
      ? own.all(text, params, bounds)
      : this.#readElsewhere({ text, params, maxBytes: bounds.maxBytes });
  }

  /** Ends the source: no more reads are accepted. */
  end(): void {
    this.#isOver = true;
    const lease = this.#lease;
    if (lease === null) return;
    const release = (): void => lease.release();
    if (lease.isIdle) void lease.run({ text: "COMMIT", params: [] }).then(release, release);
    else release();
  }

  #mayReadHere(): boolean {
    if (this.#isOver) throw over();
    if (this.#isElsewhere || this.#leased !== null) return false;
    this.#asOf ??= this.#commits();
    return this.#asOf === this.#commits();
  }

  async #readElsewhere(request: ReadRequest): Promise<Row[]> {
    if (this.#isOver) throw over();
    return runElsewhere(this.#services, request.text, async () => {
      const lease = await (this.#leased ??= this.#begin());
      return lease.run(request);
    });
  }

  async #begin(): Promise<Lease> {
    const lease = await this.#services.pool.lease(this.#limits);
    this.#lease = lease;
    if (this.#isOver) {
      lease.release();
      throw over();
    }
    await lease.run({ text: "BEGIN", params: [] });
    await lease.run({ text: READ_ONE, params: [] });
    if (this.#asOf !== null && this.#asOf !== this.#commits()) {
      this.#isInconsistent = true;
      throw new Error("A transaction committed between these reads: they are repeated.");
    }
    return lease;
  }
}

function over(): Error {
  return new Error("The query has ended: await every database call before the handler returns.");
}
