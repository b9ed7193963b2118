import { hash } from "node:crypto";
import type { ClientBase, QueryConfig, QueryResult } from "pg";
import type { QueryObserver } from "../../observe/query-observer.ts";
import type { Platform } from "../../platform.ts";
import type { Value } from "../store.ts";
import { VALUE_PARSERS } from "./codec.ts";
import { isStaleStatement } from "./errors.ts";
import type { SilenceWatch } from "./silence-watch.ts";

/** A row with its parsed values, by column. */
export type ColumnRow = Record<string, Value>;

/**
 * The maximum number of different statements that connections keep prepared: further ones are
 * parsed each time, so that the server's memory is bounded.
 */
const MAX_NAMED = 500;

/**
 * The names of prepared statements. A name is a hash of the text, so two processes that share a
 * server connection through a pooler use the same name for the same statement. If a pooler turns
 * out to lose prepared statements, all statements are unnamed from then on, which is always safe.
 */
export class StatementNames {
  readonly #names = new Map<string, string>();
  #isOn = true;

  nameOf(text: string): string | undefined {
    if (!this.#isOn) return undefined;
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_NAMED) return undefined;
    const name = `pylon_${hash("sha256", text, "hex").slice(0, 24)}`;
    this.#names.set(text, name);
    return name;
  }

  /**
   * Stops naming if the error shows that names are unreliable.
   *
   * @returns whether it stopped: then the work may be retried
   */
  learnFrom(error: unknown): boolean {
    if (!this.#isOn || !isStaleStatement(error)) return false;
    this.#isOn = false;
    return true;
  }
}

/** Runs statements, and notifies the observer. */
export class StatementRunner {
  readonly names = new StatementNames();
  readonly #observer: QueryObserver | null;
  readonly #watch: SilenceWatch | null;
  readonly #platform: Platform;

  constructor(observer: QueryObserver | null, watch: SilenceWatch | null, platform: Platform) {
    this.#platform = platform;
    this.#observer = observer;
    this.#watch = watch;
  }

  /**
   * Runs one statement with its parameters.
   *
   * @param timeoutMs how long to wait for the result, in milliseconds; default: the connection's
   *   limit
   */
  run(
    client: ClientBase,
    text: string,
    params: readonly (Value | readonly Value[])[],
    timeoutMs?: number,
  ): Promise<QueryResult<ColumnRow>> {
    const name = this.names.nameOf(text);
    const query: QueryConfig & { readonly query_timeout?: number } = {
      text,
      values: params as unknown[],
      types: VALUE_PARSERS,
      ...(name === undefined ? {} : { name }),
      ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }),
    };
    return this.#observed(text, () => this.#watched(client, query));
  }

  /** Runs one statement without parameters, or several separated by `;`. */
  runPlain(client: ClientBase, text: string, timeoutMs?: number): Promise<QueryResult<ColumnRow>> {
    const query: QueryConfig & { readonly query_timeout?: number } = {
      text,
      types: VALUE_PARSERS,
      ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }),
    };
    return this.#observed(text, () => this.#watched(client, query));
  }

  /** Runs several statements without parameters as one message, without notifying the observer. */
  async runAll(client: ClientBase, ...statements: readonly string[]): Promise<void> {
    await this.#watched(client, { text: statements.join("; ") });
  }

  #watched(client: ClientBase, query: QueryConfig): Promise<QueryResult<ColumnRow>> {
    const run = (): Promise<QueryResult<ColumnRow>> => client.query<ColumnRow>(query);
    return this.#watch === null ? run() : this.#watch.during(client, run);
  }

  #observed(
    text: string,
    run: () => Promise<QueryResult<ColumnRow>>,
  ): Promise<QueryResult<ColumnRow>> {
    const observer = this.#observer;
    return observer === null ? run() : observed(observer, this.#platform, text, run);
  }
}

async function observed(
  observer: QueryObserver,
  { monotonic }: Platform,
  text: string,
  run: () => Promise<QueryResult<ColumnRow>>,
): Promise<QueryResult<ColumnRow>> {
  const startedAt = monotonic();
  try {
    const result = await run();
    observer.ran(text, startedAt, result.rowCount ?? 0, false);
    return result;
  } catch (error) {
    observer.ran(text, startedAt, 0, true);
    throw error;
  }
}
