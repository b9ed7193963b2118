/** The fields of a log line, by name. Never log tokens, bodies or rows. */
export type FnLogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Writes to the server's log, with the function, the request and the trace. */
export interface FnLog {
  debug(message: string, fields?: FnLogFields): void;
  info(message: string, fields?: FnLogFields): void;
  warn(message: string, fields?: FnLogFields): void;
  error(message: string, fields?: FnLogFields): void;
}
