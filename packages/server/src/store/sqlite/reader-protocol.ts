import type { SqliteValue } from "./codec.ts";

/** A request to a reader process: a read statement and its parameters. */
export interface ReadRequest {
  readonly text: string;
  readonly params: readonly SqliteValue[];
  /** The rows end with the one at which their sizes reach this, as in Select. */
  readonly maxBytes?: number | undefined;
}

/** A row as stored in the database, by column. */
export type ReadRow = Record<string, SqliteValue>;

/** A number in the rows that JSON can't represent. */
export interface InfiniteValue {
  /** The index of the row. */
  readonly row: number;
  readonly column: string;
  readonly isNegative: boolean;
}

/** The result of a request, or the error. */
export type ReadAnswer =
  | { readonly rows: ReadRow[]; readonly infinite: readonly InfiniteValue[] }
  | { readonly error: { readonly message: string; readonly code: string } };

/** A message of a reader process: once that it is ready, then a response to each request. */
export type ReaderMessage = "ready" | ReadAnswer;
