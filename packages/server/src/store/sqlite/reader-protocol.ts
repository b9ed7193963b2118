import type { SqliteValue } from "./codec.ts";

/** What a reader process is asked: a statement that reads, and its parameters. */
export interface ReadRequest {
  readonly text: string;
  readonly params: readonly SqliteValue[];
  /** The rows end with the one at which their sizes reach this, as in Select. */
  readonly maxBytes?: number | undefined;
}

/** A row as the database has it, by column. */
export type ReadRow = Record<string, SqliteValue>;

/** A number in the rows that JSON has no form for. */
export interface InfiniteValue {
  /** Which row. */
  readonly row: number;
  readonly column: string;
  readonly isNegative: boolean;
}

/** Its answer, or why there is none. */
export type ReadAnswer =
  | { readonly rows: ReadRow[]; readonly infinite: readonly InfiniteValue[] }
  | { readonly error: { readonly message: string; readonly code: string } };

/** What a reader process says: once that it is ready, then an answer to each request. */
export type ReaderMessage = "ready" | ReadAnswer;
