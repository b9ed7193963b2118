/** The unit of time by which a datetime field is grouped, or a date field, except by hour. */
type Bucket = "hour" | "day" | "week" | "month" | "year";

/** The name of a result that is a number, a minimum or a maximum. */
type MeasureName<Field extends string> =
  | "count"
  | `${"count" | "sum" | "avg" | "min" | "max" | "countDistinct"}_${Field}`;

/** A condition on the result of a group: a value, or operators as in a filter. */
type ResultCondition =
  | string
  | number
  | null
  | {
      readonly [Operator in "$eq" | "$ne" | "$not" | "$gt" | "$gte" | "$lt" | "$lte"]?:
        | string
        | number
        | null;
    }
  | { readonly $between?: readonly [string | number, string | number] }
  | { readonly [Operator in "$in" | "$nin"]?: readonly (string | number | null)[] }
  | { readonly $exists?: boolean };

/** A filter on the results of groups. */
type Having<Field extends string> = {
  readonly [Name in MeasureName<Field>]?: ResultCondition;
} & {
  readonly $and?: readonly Having<Field>[];
  readonly $or?: readonly Having<Field>[];
  readonly $not?: Having<Field>;
};

/**
 * The options of an aggregate over rows with these fields: counts, sums, averages, minima and
 * maxima, over all rows that match `where`, or per group. See docs/queries.md.
 *
 * `Related` are the fields of related rows.
 */
export interface AggregateOptions<Field extends string, Where, Related extends string = Field> {
  /**
   * `true` or `"*"` counts the rows; a field's name also counts its non-null values, as
   * `count_field`.
   */
  readonly count?: boolean | "*" | Field;
  readonly sum?: readonly Field[];
  readonly avg?: readonly Field[];
  readonly min?: readonly Field[];
  readonly max?: readonly Field[];
  readonly countDistinct?: readonly Field[];
  /** Fields, also of the row to which a relation leads: `customer.country`. */
  readonly groupBy?: readonly (
    | Field
    | Related
    | {
        readonly field: Field;
        readonly bucket?: Bucket;
        /** The time zone for grouping by days and hours: `Europe/Berlin`. Default: UTC. */
        readonly timeZone?: string;
      }
  )[];
  readonly where?: Where;
  /** Filters groups by their results: `{count: {$gt: 1}, sum_cents: {$gte: 100}}`. */
  readonly having?: Having<Field>;
  /** The order, by result names: `{sum_cents: "desc"}`. Default: by the grouped fields. */
  readonly order?: { readonly [Name in MeasureName<Field> | Field | Related]?: "asc" | "desc" };
  /** The maximum number of groups. */
  readonly limit?: number;
}

type Names<List> = List extends readonly (infer Name extends string)[] ? Name : never;
type Value<Row, Field> = Field extends keyof Row ? Row[Field] : unknown;
type Prefixed<Prefix extends string, List, Row> = {
  readonly [Field in Names<List> as `${Prefix}_${Field}`]: Value<Row, Field> | null;
};
type Numbers<Prefix extends string, List, Result> = {
  readonly [Field in Names<List> as `${Prefix}_${Field}`]: Result;
};
type GroupOf<Item, Row> = Item extends `${string}.${string}`
  ? { readonly [Field in Item]: string | number | boolean | null }
  : Item extends string
    ? { readonly [Field in Item]: Value<Row, Field> }
    : Item extends { readonly field: infer Field extends string }
      ? { readonly [Name in Field]: Value<Row, Name> } & (Item extends {
          readonly bucket: infer Unit extends Bucket;
        }
          ? { readonly [Name in `${Field}_${Unit}`]: string | null }
          : unknown)
      : unknown;
type Groups<List, Row> = List extends readonly [infer First, ...infer Rest]
  ? GroupOf<First, Row> & Groups<Rest, Row>
  : List extends readonly []
    ? unknown
    : List extends readonly (infer Item)[]
      ? Partial<GroupOf<Item, Row>>
      : unknown;
type Get<Spec, Key extends string> = Spec extends { readonly [K in Key]: infer V } ? V : never;
type Counts<Spec> = Spec extends { readonly count: infer Count }
  ? Count extends false
    ? unknown
    : { readonly count: number } & (Count extends boolean | "*"
        ? unknown
        : { readonly [Field in Count & string as `count_${Field}`]: number })
  : unknown;

/**
 * A row of an aggregate's result: the grouped fields, and the results under their names. Sums,
 * minima and maxima have the type of their field, or are null without a value.
 */
export type AggregateResult<Row, Spec> = Counts<Spec> &
  Prefixed<"sum", Get<Spec, "sum">, Row> &
  Prefixed<"min", Get<Spec, "min">, Row> &
  Prefixed<"max", Get<Spec, "max">, Row> &
  Numbers<"avg", Get<Spec, "avg">, number | null> &
  Numbers<"countDistinct" | "count_distinct", Get<Spec, "countDistinct">, number> &
  (Spec extends { readonly groupBy: infer List } ? Groups<List, Row> : unknown) extends infer All
  ? { readonly [Name in keyof All]: All[Name] }
  : never;
