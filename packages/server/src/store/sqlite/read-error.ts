/** The error of a statement that the database rejected in a reader process. */
export class ReadError extends Error {
  override readonly name = "ReadError";
  /** For example `SQLITE_CORRUPT`. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}
