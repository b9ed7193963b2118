import type { QueryObserver } from "../../observe/query-observer.ts";
import type { Platform } from "../../platform.ts";
import { rowSize } from "../row-size.ts";
import type { ReadLimits } from "../store.ts";
import type { SqliteValue } from "./codec.ts";
import type { ReadPlans } from "./read-plans.ts";
import { storageFailure } from "./errors.ts";
import type { PoolAnswer } from "./lease.ts";
import type { ReaderPool } from "./reader-pool.ts";
import type { ReadRequest } from "./reader-protocol.ts";
import type { ReadBounds, StatementSource } from "./sqlite-reader.ts";
import type { StatementCache } from "./statements.ts";

type Row = Record<string, SqliteValue>;

/** Runs every read immediately, on a connection of the server's own thread. */
export class OwnConnection implements StatementSource {
  readonly #statements: StatementCache;
  readonly #beforeRead: () => void;

  /** @param beforeRead called before each read */
  constructor(statements: StatementCache, beforeRead: () => void) {
    this.#statements = statements;
    this.#beforeRead = beforeRead;
  }

  first(text: string, params: readonly SqliteValue[]): Row | null {
    this.#beforeRead();
    return this.#statements.first(text, params);
  }

  all(
    text: string,
    params: readonly SqliteValue[],
    { maxBytes }: Pick<ReadBounds, "maxBytes">,
  ): Row[] {
    this.#beforeRead();
    if (maxBytes === undefined) return this.#statements.all(text, params);
    let size = 0;
    return this.#statements.until(text, params, (row) => (size += rowSize(row)) >= maxBytes);
  }
}

/** The services that run reads for callers, and observe them. */
export interface LimitedServices {
  readonly own: OwnConnection;
  readonly plans: ReadPlans;
  readonly pool: ReaderPool;
  readonly observer: QueryObserver | null;
  readonly platform: Platform;
  /** Called with the error of SQLite when the disk or the file fails. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Runs reads that are guaranteed to be short immediately, and the others in a reader process, which
 * can be ended: a statement on the server's own thread blocks all callers and can't be stopped.
 */
export class LimitedConnection implements StatementSource {
  readonly #services: LimitedServices;
  readonly #limits: ReadLimits;

  constructor(services: LimitedServices, limits: ReadLimits) {
    this.#services = services;
    this.#limits = limits;
  }

  first(text: string, params: readonly SqliteValue[]): Row | null {
    return this.#services.own.first(text, params);
  }

  all(text: string, params: readonly SqliteValue[], bounds: ReadBounds): Row[] | Promise<Row[]> {
    const { own, plans } = this.#services;
    return plans.isShort(text, bounds.isBounded)
      ? own.all(text, params, bounds)
      : this.#allElsewhere({ text, params, maxBytes: bounds.maxBytes });
  }

  async #allElsewhere(request: ReadRequest): Promise<Row[]> {
    const { pool } = this.#services;
    return runElsewhere(this.#services, request.text, () => pool.run(request, this.#limits));
  }
}

/**
 * Runs a statement in another process, and notifies the observer.
 *
 * @throws PylonError STORAGE_UNAVAILABLE if the disk or the file fails; otherwise what `run` throws
 */
export async function runElsewhere(
  { observer, platform, onFailure }: Pick<LimitedServices, "observer" | "platform" | "onFailure">,
  text: string,
  run: () => Promise<PoolAnswer>,
): Promise<Row[]> {
  const askedAt = platform.monotonic();
  try {
    const { rows, startedAt } = await run();
    observer?.ran(text, startedAt, rows.length, false);
    return rows;
  } catch (error) {
    observer?.ran(text, askedAt, 0, true);
    const failure = storageFailure(error);
    if (failure === null) throw error;
    onFailure(error);
    throw failure;
  }
}
