/** Exit codes, as sysexits.h names them. */
export const EXIT = { OK: 0, FAILED: 1, USAGE: 64, UNAVAILABLE: 69 } as const;

/**
 * The error with which a command ends early: a code for programs, a message for people, and what to
 * do.
 */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: string;
  readonly exitCode: number;

  constructor(code: string, message: string, exitCode: number = EXIT.FAILED) {
    super(message);
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** The output of a command: text for people, or one JSON value on stdout for programs. */
export class Output {
  readonly isJson: boolean;

  constructor(isJson: boolean) {
    this.isJson = isJson;
  }

  /** Prints a line for people; nothing in JSON mode. */
  say(line = ""): void {
    if (!this.isJson) console.log(line);
  }

  /** Prints a line of the result, in both modes. */
  line(line: string): void {
    console.log(line);
  }

  /** Prints the result for programs; nothing in text mode. */
  json(value: unknown): void {
    if (this.isJson) console.log(JSON.stringify(value));
  }

  /**
   * Prints a warning or an error, always on stderr. Does not use `console.error`, which prints
   * everything in red at a terminal.
   */
  warn(line: string): void {
    process.stderr.write(`${line}\n`);
  }
}
