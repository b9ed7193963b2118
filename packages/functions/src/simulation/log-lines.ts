import { MAX_SHARD_LOG_LINES_OF_STEP } from "@pylonsync/protocol";
import type { FnLog, FnLogFields } from "../context/log.ts";
import type { ShardLogLevel, ShardLogLine } from "../shard-work.ts";

const MAX_MESSAGE = 1000;
const MAX_FIELDS = 20;
const MAX_TEXT = 200;

/** Collects the lines that a simulation logs, up to a limit per step. */
export class LogLines {
  #lines: ShardLogLine[] = [];
  #dropped = 0;
  /** `step.log`. */
  readonly log: FnLog = {
    debug: (message, fields) => this.#add("debug", message, fields),
    info: (message, fields) => this.#add("info", message, fields),
    warn: (message, fields) => this.#add("warn", message, fields),
    error: (message, fields) => this.#add("error", message, fields),
  };

  /** Removes and returns the lines; the last one tells how many were dropped. */
  take(): readonly ShardLogLine[] {
    const lines = this.#lines;
    if (lines.length === 0) return lines;
    if (this.#dropped > 0)
      lines.push({
        level: "warn",
        message: "log lines of a step were dropped",
        fields: { dropped: this.#dropped },
      });
    this.#lines = [];
    this.#dropped = 0;
    return lines;
  }

  #add(level: ShardLogLevel, message: string, fields: FnLogFields = {}): void {
    if (this.#lines.length >= MAX_SHARD_LOG_LINES_OF_STEP) {
      this.#dropped += 1;
      return;
    }
    const text = String(message).slice(0, MAX_MESSAGE);
    this.#lines.push({ level, message: text, fields: scalarsOf(fields) });
  }
}

/** Only scalars are logged, because a line may be sent to another thread. */
function scalarsOf(fields: FnLogFields): ShardLogLine["fields"] {
  const scalars: Record<string, string | number | boolean | null> = {};
  for (const [name, value] of Object.entries(fields).slice(0, MAX_FIELDS)) {
    if (typeof value === "string") scalars[name] = value.slice(0, MAX_TEXT);
    else if (typeof value === "number" || typeof value === "boolean" || value === null)
      scalars[name] = value;
  }
  return scalars;
}
