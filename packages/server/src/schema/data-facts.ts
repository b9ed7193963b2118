import type { Value } from "./row.ts";

/** Values that a new type of their field has no equal of. */
export interface LostValues {
  readonly count: number;
  /** A few of them, to be shown. */
  readonly samples: readonly Value[];
  /** The id of one of the rows, and what is wrong with its value. */
  readonly example: { readonly id: string; readonly reason: string };
}

/** Rows that are equal in the fields of an index that is to be unique. */
export interface DuplicateValues {
  readonly values: readonly Value[];
  readonly rows: number;
}

/** Texts that are too long for the index that their field comes into. */
export interface LongTexts {
  readonly rows: number;
  readonly maxBytes: number;
  /** The id of one of the rows. */
  readonly example: string;
}

/** Rows that refer to one that is not there. */
export interface Orphans {
  /** The entity that they refer to. */
  readonly target: string;
  readonly rows: number;
  /** The id of one of the rows. */
  readonly example: string;
}

/** What the rows of a database say about a migration of it. */
export interface DataFacts {
  /** As `Entity.field`: optional fields that have a value in every row, and so may be required. */
  readonly filled: ReadonlySet<string>;
  /** By `Entity.field`: what can't be converted to the field's new type. */
  readonly lost: ReadonlyMap<string, LostValues>;
  /** By `Entity.index`: the largest groups of rows that a new unique index would refuse. */
  readonly duplicates: ReadonlyMap<string, readonly DuplicateValues[]>;
  /** By `Entity.field`. */
  readonly tooLong: ReadonlyMap<string, LongTexts>;
  /** By `Entity.field`, of the references that were looked at. */
  readonly orphans: ReadonlyMap<string, Orphans>;
}

/** Of a new database, or one that nobody has looked into. */
export const NO_FACTS: DataFacts = {
  filled: new Set(),
  lost: new Map(),
  duplicates: new Map(),
  tooLong: new Map(),
  orphans: new Map(),
};
