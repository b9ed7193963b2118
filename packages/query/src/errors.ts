/** A filter or a policy that can't be understood. The server answers it as a 4xx. */
export class QueryError extends Error {
  override readonly name: string = "QueryError";
  readonly code: "INVALID_QUERY" | "INVALID_COLUMN";
  /** Where in the filter: `$or[1].title.$gt`. */
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

/** A policy that does not parse. `message` shows the place. */
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
