import { LOG_RANK, type LogLevel } from "../config/log-level.ts";
import { currentOperation, type Operation } from "./operation.ts";
import type { Platform } from "../platform.ts";
import { LogTail } from "./log-tail.ts";

/** Fields of a line, by name. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** What is logged, and where it is written. */
export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: one object per line; `text`: for people. */
  readonly format: "json" | "text";
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** See Platform; default: that of the machine. */
  readonly every?: Platform["every"] | undefined;
  readonly write: (line: string) => void;
}

/** A line, as exporters receive it. */
export interface LogRecord {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
  readonly span: Operation["span"];
}

/**
 * The server's log. A line that is logged during a request contains its `request_id`, and its
 * trace's id if it is traced. Never log a token, a body or a row in the fields.
 */
export class Log {
  readonly #options: LogOptions;
  /** The newest lines, for the admin. */
  readonly tail: LogTail;
  #exporter: ((record: LogRecord) => void) | null = null;

  constructor(options: LogOptions) {
    this.#options = options;
    this.tail = new LogTail(options.every);
  }

  /** Also passes every new line to an exporter; null: no longer. */
  exportTo(exporter: ((record: LogRecord) => void) | null): void {
    this.#exporter = exporter;
  }

  debug(message: string, fields?: LogFields): void {
    this.#log("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }
  /** @param error its stack is written to the log, and nowhere else */
  error(message: string, error?: unknown, fields?: LogFields): void {
    this.#log(
      "error",
      message,
      error === undefined ? fields : { ...fields, error: describeError(error) },
    );
  }

  isOn(level: LogLevel): boolean {
    return LOG_RANK[level] >= LOG_RANK[this.#options.level];
  }

  #log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.isOn(level)) return;
    const operation = currentOperation();
    const at = this.#options.now();
    const time = new Date(at).toISOString();
    const all = operation === undefined ? fields : { ...fields, ...whereFrom(operation) };
    const line = JSON.stringify({ time, level, message, ...all });
    this.#options.write(
      this.#options.format === "json" ? line : textLine(time, level, message, all),
    );
    this.tail.add(level, line);
    this.#exporter?.({ at, level, message, fields: all, span: operation?.span ?? null });
  }
}

function whereFrom({ requestId, span }: Operation): LogFields {
  return {
    ...(requestId === null ? {} : { request_id: requestId }),
    ...(span === null ? {} : { trace_id: span.traceId, span_id: span.spanId }),
  };
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const rest = Object.entries(fields).filter(([, value]) => value !== undefined);
  return [
    time.slice(11, 23),
    level.toUpperCase().padEnd(5),
    message,
    ...rest.map(([name, value]) => `${name}=${String(value)}`),
  ].join(" ");
}

function describeError(error: unknown): string {
  return error instanceof Error
    ? error.stack || `${error.name}: ${error.message}`
    : describeThrown(error);
}

/** Describes a thrown value, which need not be an Error. */
export function describeThrown(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === "string" ? thrown : Bun.inspect(thrown, { depth: 2 }).slice(0, 1_000);
}
