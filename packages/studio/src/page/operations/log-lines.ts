/** A line of the log. */
export interface LogLine {
  /** Its place among the lines that this page has received. */
  readonly number: number;
  readonly time: string;
  readonly level: string;
  readonly message: string;
  /** Its other properties, as JSON; empty if it has none. */
  readonly rest: string;
}

/** The newest lines that are shown. */
const MAX_LINES = 500;

/**
 * The newest lines of a log that is followed. After an interruption the server sends its newest
 * lines again: lines that are known already are left out.
 */
export class LogLines {
  #count = 0;
  #lines: readonly LogLine[] = [];
  #texts = new Set<string>();
  /** Of the lines before the latest interruption. */
  #known = new Set<string>();

  /** Newest first. */
  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** Call it whenever the log is followed again. */
  resume(): void {
    this.#known = new Set(this.#texts);
  }

  /** @param texts lines in the server's order */
  add(texts: readonly string[]): void {
    const added = texts.filter((text) => !this.#known.has(text)).slice(-MAX_LINES);
    if (added.length === 0) return;
    const lines = added.map((text) => lineOf(text, (this.#count += 1)));
    this.#lines = [...lines.toReversed(), ...this.#lines].slice(0, MAX_LINES);
    this.#texts = new Set([...this.#texts, ...added].slice(-MAX_LINES));
  }
}

/** Reads a line; one that is not a JSON object is shown as it is. */
function lineOf(text: string, number: number): LogLine {
  const { time, level, message, ...rest } = fieldsOf(text);
  return {
    number,
    time: textOf(time),
    level: textOf(level),
    message: textOf(message),
    rest: Object.keys(rest).length === 0 ? "" : JSON.stringify(rest),
  };
}

function textOf(value: unknown): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Shown as it is, below.
  }
  return { message: text };
}
