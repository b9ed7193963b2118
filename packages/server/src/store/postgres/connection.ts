import { hash } from "node:crypto";
import type { ClientBase, QueryConfig } from "pg";
import type { QueryObserver } from "../../observe/query-observer.ts";
import type { Platform } from "../../platform.ts";
import type { Value } from "../store.ts";
import { VALUE_PARSERS } from "./codec.ts";
import { isStaleStatement } from "./errors.ts";
import type { Parameter } from "./parameters.ts";
import type { SilenceWatch } from "./silence-watch.ts";
import { StatementBatch, type Statement, type StatementResult } from "./statement-batch.ts";

/** A row with its parsed values, by column. */
export type ColumnRow = Record<string, Value>;

/**
 * The maximum number of different statements that connections keep prepared: further ones are
 * parsed each time, so that the server's memory is bounded.
 */
const MAX_NAMED = 500;

const NO_RESULT: StatementResult = { rows: [], rowCount: null };

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
  async run(
    client: ClientBase,
    text: string,
    params: readonly Parameter[],
    timeoutMs = 0,
  ): Promise<StatementResult> {
    const [result = NO_RESULT] = await this.runBatch(client, [{ text, params }], timeoutMs);
    return result;
  }

  /**
   * Runs statements that are sent together; if one fails, those after it are skipped.
   *
   * @param timeoutMs as in `run`
   * @returns the result of each statement
   * @throws the error of the statement that failed
   */
  async runBatch(
    client: ClientBase,
    statements: readonly Statement[],
    timeoutMs = 0,
  ): Promise<readonly StatementResult[]> {
    const startedAt = this.#observer === null ? 0 : this.#platform.monotonic();
    const names = statements.map(({ text }) => this.names.nameOf(text));
    const batch = new StatementBatch(statements, names, timeoutMs);
    try {
      return await this.#watched(client, () => batch.run(client));
    } finally {
      this.#observe(statements, batch.results, startedAt);
    }
  }

  /** Runs one statement without parameters, or several separated by `;`. */
  async runPlain(client: ClientBase, text: string, timeoutMs?: number): Promise<StatementResult> {
    const startedAt = this.#platform.monotonic();
    const query: QueryConfig & { readonly query_timeout?: number } = {
      text,
      types: VALUE_PARSERS,
      ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }),
    };
    const results: StatementResult[] = [];
    try {
      const result = await this.#watched(client, () => client.query<ColumnRow>(query));
      results.push(result);
      return result;
    } finally {
      this.#observe([{ text }], results, startedAt);
    }
  }

  /** Runs several statements without parameters as one message, without notifying the observer. */
  async runAll(client: ClientBase, ...statements: readonly string[]): Promise<void> {
    await this.#watched(client, () => client.query(statements.join("; ")));
  }

  #watched<T>(client: ClientBase, run: () => Promise<T>): Promise<T> {
    return this.#watch === null ? run() : this.#watch.during(client, run);
  }

  /** Notifies the observer of those that have a result, and of the one that failed after them. */
  #observe(
    statements: readonly Pick<Statement, "text" | "isSetup">[],
    results: readonly StatementResult[],
    startedAt: number,
  ): void {
    if (this.#observer === null) return;
    for (const [index, { text, isSetup }] of statements.slice(0, results.length + 1).entries())
      if (isSetup !== true)
        this.#observer.ran(text, startedAt, results[index]?.rowCount ?? 0, index >= results.length);
  }
}
