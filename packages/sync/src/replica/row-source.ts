import type { IncludeQuery, Row } from "@pylonsync/protocol";
import type { PylonClientError } from "../connection/errors.ts";

/** A query to be loaded. */
export interface DemandedQuery {
  readonly entity: string;
  /** A filter without keys such as `$limit`. */
  readonly where: Readonly<Record<string, unknown>>;
  readonly order: unknown;
  /** The number of rows, from the first; undefined for all. */
  readonly limit: number | undefined;
  /** Related rows to include. */
  readonly include?: Readonly<Record<string, IncludeQuery>> | undefined;
  /** Whether a row matches `where`. */
  readonly matches: (row: Row) => boolean;
  /** It has conditions on related rows: possibly only the server can decide which rows match. */
  readonly isRelated?: boolean;
}

/** A query whose rows are kept in sync until `release`. */
export interface Demand {
  /** Whether its rows have been loaded. */
  readonly isReady: boolean;
  /** Why they are not kept in sync. */
  readonly error: PylonClientError | null;
  release(): void;
}

/** Loads the rows of a replica on demand. */
export interface RowSource {
  /** @param changed called when `isReady` or `error` has changed */
  demand(query: DemandedQuery, changed: () => void): Demand;
  /**
   * Whether a query, or one of its includes, contains this row by this filter.
   *
   * @param condition the filter as JSON
   */
  isMember(entity: string, condition: string, id: string): boolean;
}
