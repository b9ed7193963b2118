import type { Value } from "./row.ts";

/** Values that have no equivalent in the new type of their field. */
export interface LostValues {
  readonly count: number;
  /** A few of the values, for messages. */
  readonly samples: readonly Value[];
  /** The id of one of the rows, and the reason why its value can't be converted. */
  readonly example: { readonly id: string; readonly reason: string };
}

/** Rows that have equal values in the fields of an index that becomes unique. */
export interface DuplicateValues {
  readonly values: readonly Value[];
  readonly rows: number;
}

/** Texts that are too long for the new index of their field. */
export interface LongTexts {
  readonly rows: number;
  readonly maxBytes: number;
  /** The id of one of the rows. */
  readonly example: string;
}

/** Rows that refer to a row that does not exist. */
export interface Orphans {
  /** The entity that the rows refer to. */
  readonly target: string;
  readonly rows: number;
  /** The id of one of the rows. */
  readonly example: string;
}

/** The facts about the rows of a database that a migration depends on. */
export interface DataFacts {
  /**
   * As `Entity.field`: optional fields that have a value in every row, so they may become required.
   */
  readonly filled: ReadonlySet<string>;
  /** By `Entity.field`: the values that can't be converted to the field's new type. */
  readonly lost: ReadonlyMap<string, LostValues>;
  /** By `Entity.index`: the largest groups of rows that a new unique index would reject. */
  readonly duplicates: ReadonlyMap<string, readonly DuplicateValues[]>;
  /** By `Entity.field`. */
  readonly tooLong: ReadonlyMap<string, LongTexts>;
  /** By `Entity.field`, for the references that were checked. */
  readonly orphans: ReadonlyMap<string, Orphans>;
}

/** For a new database, or one whose rows were not inspected. */
export const NO_FACTS: DataFacts = {
  filled: new Set(),
  lost: new Map(),
  duplicates: new Map(),
  tooLong: new Map(),
  orphans: new Map(),
};
