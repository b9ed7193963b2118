import type { FnLog, FnLogFields } from "@pylonsync/functions";
import type { LogFields } from "../observe/log.ts";

/** The maximum length of a logged text, in characters. */
const MAX_TEXT = 2_000;
/** The maximum number of fields of a log line. */
const MAX_FIELDS = 20;

/** The parts of the server's log that functions use. */
export interface FunctionLog {
  debug(message: string, fields: LogFields): void;
  info(message: string, fields: LogFields): void;
  warn(message: string, fields: LogFields): void;
  error(message: string, error: undefined, fields: LogFields): void;
}

/** `ctx.log`: writes to the server's log, which adds the request and the trace. */
export class CallLog implements FnLog {
  readonly #log: FunctionLog;
  readonly #name: string;

  constructor(log: FunctionLog, name: string) {
    this.#log = log;
    this.#name = name;
  }

  debug(message: string, fields?: FnLogFields): void {
    this.#log.debug(shortened(message), this.#fields(fields));
  }
  info(message: string, fields?: FnLogFields): void {
    this.#log.info(shortened(message), this.#fields(fields));
  }
  warn(message: string, fields?: FnLogFields): void {
    this.#log.warn(shortened(message), this.#fields(fields));
  }
  error(message: string, fields?: FnLogFields): void {
    this.#log.error(shortened(message), undefined, this.#fields(fields));
  }

  /** Logs only the type of a value that is not plain: rows must not be logged. */
  #fields(fields: FnLogFields = {}): LogFields {
    const entries = Object.entries(fields).slice(0, MAX_FIELDS);
    const shown = entries.map(([key, value]: [string, unknown]) => [key, plain(value)] as const);
    return { ...Object.fromEntries(shown), function: this.#name };
  }
}

function plain(value: unknown): LogFields[string] {
  switch (typeof value) {
    case "string":
      return shortened(value);
    case "number":
    case "boolean":
    case "undefined":
      return value;
    default:
      return value === null ? null : `(${typeof value})`;
  }
}

function shortened(text: unknown): string {
  const whole = String(text);
  return whole.length <= MAX_TEXT ? whole : `${whole.slice(0, MAX_TEXT)}...`;
}
