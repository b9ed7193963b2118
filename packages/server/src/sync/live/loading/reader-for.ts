import { userShare } from "../../../request/reading.ts";
import type { Reader, Store } from "../../../store/store.ts";
import type { Joiner } from "./joiner.ts";

/** The dependencies of `readerFor`. */
export interface ReaderOptions {
  readonly store: Store;
  readonly readTimeoutMs: number;
}

/**
 * Returns a reader for rows that several joiners share. The read counts towards the share of the
 * first one: it would have been made for that one alone, too.
 */
export function readerFor(
  { store, readTimeoutMs }: ReaderOptions,
  [joiner]: readonly Joiner[],
): Reader {
  if (joiner === undefined) return store;
  const { caller, id } = joiner.connection.subscriber;
  return store.limitedReader({
    caller: userShare(caller) ?? `connection ${id}`,
    timeoutMs: readTimeoutMs,
  });
}
