import { currentOperation } from "./operation.ts";
import type { QueryObserver } from "./query-observer.ts";
import type { Platform } from "../platform.ts";
import type { Log } from "./log.ts";

const MAX_TEXT = 2_000;

/**
 * Logs slow statements, without their parameters, and adds each to the trace that it belongs to.
 */
export class QueryWatch implements QueryObserver {
  readonly #platform: Pick<Platform, "monotonic">;
  readonly #slowMs: number;
  readonly #log: Log;
  readonly #system: string;

  /** @param slowMs the duration from which a statement is logged, in milliseconds; 0: never */
  constructor(
    slowMs: number,
    system: "sqlite" | "postgresql",
    log: Log,
    platform: Pick<Platform, "monotonic">,
  ) {
    this.#platform = platform;
    this.#slowMs = slowMs === 0 ? Infinity : slowMs;
    this.#system = system;
    this.#log = log;
  }

  ran(text: string, startedAt: number, rows: number, failed: boolean): void {
    const ms = this.#platform.monotonic() - startedAt;
    const operation = currentOperation();
    const span = operation?.span?.child(
      nameOf(text),
      "client",
      {
        "db.system.name": this.#system,
        "db.query.text": shortened(text),
        "db.response.returned_rows": rows,
      },
      startedAt,
    );
    if (failed) span?.fail("refused");
    span?.end();
    if (ms < this.#slowMs) return;
    this.#log.warn("slow query", {
      sql: shortened(text),
      ms: Math.round(ms * 10) / 10,
      rows,
      from: operation?.where ?? "server",
      ...(failed ? { failed } : {}),
    });
  }
}

/** The first word of a statement, such as `SELECT`. */
function nameOf(text: string): string {
  return /^\s*([A-Za-z]+)/.exec(text)?.[1]?.toUpperCase() ?? "statement";
}

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}...` : line;
}
