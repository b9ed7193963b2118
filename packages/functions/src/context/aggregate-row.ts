import type { EntityName, RegisteredEntities } from "@pylonsync/sdk";
import type { AggregateSpec } from "./db-queries.ts";

type Scalar = string | number | boolean | null;

/** The elements of a list; none without a list. */
type ItemOf<List> = List extends readonly (infer Item)[] ? Item : never;
type NameIn<List> = Extract<ItemOf<List>, string>;

/** A field's value in a row; any scalar for a field that the compiler does not know. */
type ValueOf<E extends EntityName, F> = F extends keyof RegisteredEntities[E]
  ? Extract<RegisteredEntities[E][F], Scalar>
  : Scalar;
type NumberOf<E extends EntityName, F> = Exclude<ValueOf<E, F>, boolean> | null;

type CountName<Count> = Count extends true | "*"
  ? "count"
  : Count extends string
    ? `count_${Count}`
    : never;
type BucketField<Group> = Group extends { readonly field: infer F extends string } ? F : never;

/**
 * The results of an aggregate by name, typed by its options. Other names, such as those of labels
 * of buckets, have any scalar.
 */
export type AggregateRow<E extends EntityName, Spec extends AggregateSpec> = Readonly<
  Record<string, Scalar>
> & {
  readonly [F in NameIn<Spec["groupBy"]>]: ValueOf<E, F>;
} & {
  readonly [F in BucketField<ItemOf<Spec["groupBy"]>>]: string | null;
} & {
  readonly [Name in CountName<Spec["count"]>]: number;
} & {
  readonly [F in NameIn<Spec["countDistinct"]> as `countDistinct_${F}`]: number;
} & {
  readonly [F in NameIn<Spec["sum"]> as `sum_${F}`]: NumberOf<E, F>;
} & {
  readonly [F in NameIn<Spec["avg"]> as `avg_${F}`]: NumberOf<E, F>;
} & {
  readonly [F in NameIn<Spec["min"]> as `min_${F}`]: ValueOf<E, F> | null;
} & {
  readonly [F in NameIn<Spec["max"]> as `max_${F}`]: ValueOf<E, F> | null;
};
