/** Exit codes, as sysexits.h names them. */
export const EXIT = { OK: 0, FAILED: 1, USAGE: 64, UNAVAILABLE: 69 } as const;

/** Why a command ends early: a code for programs, a sentence for people, and what to do. */
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

/** Where a command speaks: people get text, programs one JSON value on stdout. */
export class Output {
  readonly isJson: boolean;

  constructor(isJson: boolean) {
    this.isJson = isJson;
  }

  /** A line for people; nothing in JSON mode. */
  say(line = ""): void {
    if (!this.isJson) console.log(line);
  }

  /** A line of what was asked for, in both modes. */
  line(line: string): void {
    console.log(line);
  }

  /** The result for programs; nothing in text mode. */
  json(value: unknown): void {
    if (this.isJson) console.log(JSON.stringify(value));
  }

  /**
   * A warning or an error: always on stderr. Not by `console.error`, which writes all in red at a
   * terminal.
   */
  warn(line: string): void {
    process.stderr.write(`${line}\n`);
  }
}
