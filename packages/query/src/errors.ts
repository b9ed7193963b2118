/** An invalid filter or policy. The server responds to it with a 4xx status. */
export class QueryError extends Error {
  override readonly name: string = "QueryError";
  readonly code: "INVALID_QUERY" | "INVALID_COLUMN";
  /** The place in the filter: `$or[1].title.$gt`. */
  readonly field: string | undefined;
  readonly hint: string | undefined;

  constructor(
    code: "INVALID_QUERY" | "INVALID_COLUMN",
    message: string,
    details: { field?: string; hint?: string | undefined } = {},
  ) {
    super(message);
    this.code = code;
    this.field = details.field;
    this.hint = details.hint;
  }
}

/** @throws QueryError INVALID_QUERY @param field the place in the filter */
export function invalidQuery(field: string, message: string, hint?: string): never {
  throw new QueryError("INVALID_QUERY", message, { field, hint });
}

/** A policy with a syntax error. `message` shows the position. */
export class QuerySyntaxError extends QueryError {
  override readonly name = "QuerySyntaxError";
  /** Offset in the source, from 0. */
  readonly position: number;

  constructor(source: string, position: number, problem: string) {
    const lineStart = source.lastIndexOf("\n", position - 1) + 1;
    const line = source.slice(lineStart).split("\n", 1)[0] ?? "";
    super(
      "INVALID_QUERY",
      `${problem} at position ${position}\n  ${line}\n  ${" ".repeat(position - lineStart)}^`,
    );
    this.position = position;
  }
}
