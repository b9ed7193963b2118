export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: one object a line; `text`: for people. */
  readonly format: "json" | "text";
  readonly now: () => number;
  readonly write: (line: string) => void;
}

/** The server's log. Fields are for facts; never give it a token, a body or a row. */
export class Log {
  readonly #options: LogOptions;

  constructor(options: LogOptions) {
    this.#options = options;
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
  /** @param error its stack goes to the log, and nowhere else */
  error(message: string, error?: unknown, fields?: LogFields): void {
    this.#log("error", message, error === undefined ? fields : { ...fields, error: describeError(error) });
  }

  isOn(level: LogLevel): boolean {
    return RANK[level] >= RANK[this.#options.level];
  }

  #log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.isOn(level)) return;
    const time = new Date(this.#options.now()).toISOString();
    this.#options.write(this.#options.format === "json" ? JSON.stringify({ time, level, message, ...fields }) : textLine(time, level, message, fields));
  }
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const rest = Object.entries(fields).filter(([, value]) => value !== undefined);
  return [time.slice(11, 23), level.toUpperCase().padEnd(5), message, ...rest.map(([name, value]) => `${name}=${String(value)}`)].join(" ");
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
}
