/** A statement that the database refused to a reader process. */
export class ReadError extends Error {
  override readonly name = "ReadError";
  /** Such as `SQLITE_CORRUPT`. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}
