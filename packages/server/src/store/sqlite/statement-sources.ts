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

/** Runs every read at once, on a connection of the server's own thread. */
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

/** What reads for callers run on, and who is told of them. */
export interface LimitedServices {
  readonly own: OwnConnection;
  readonly plans: ReadPlans;
  readonly pool: ReaderPool;
  readonly observer: QueryObserver | null;
  readonly platform: Platform;
  /** Called when the disk or the file fails, with the error of SQLite. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Runs at once what is sure to be short, and the rest in a reader process, which can be ended: a
 * statement on the server's own thread holds up everybody, and nothing can stop it.
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
 * Runs a statement in another process, and tells the observer.
 *
 * @throws PylonError STORAGE_UNAVAILABLE when the disk or the file fails; what `run` throws
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
