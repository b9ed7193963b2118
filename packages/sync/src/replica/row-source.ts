import type { Row } from "@pylonsync/protocol";
import type { PylonClientError } from "../connection/errors.ts";

/** A query as it is asked for. */
export interface DemandedQuery {
  readonly entity: string;
  /** A filter without keys such as `$limit`. */
  readonly where: Readonly<Record<string, unknown>>;
  readonly order: unknown;
  /** How many rows from the first; undefined for all. */
  readonly limit: number | undefined;
  /** Whether a row is one of those that `where` asks for. */
  readonly matches: (row: Row) => boolean;
}

/** A query whose rows are kept in step until `release`. */
export interface Demand {
  /** Whether its rows are here, as they were at some time. */
  readonly isReady: boolean;
  /** Why they are not kept in step. */
  readonly error: PylonClientError | null;
  release(): void;
}

/** What brings the rows of a replica that holds only what is asked for. */
export interface RowSource {
  /** @param changed called when `isReady` or `error` has changed */
  demand(query: DemandedQuery, changed: () => void): Demand;
}
