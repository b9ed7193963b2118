import { MAX_AGGREGATE_TERMS, MAX_GROUPS, PylonError } from "@pylonsync/protocol";
import {
  describeValue,
  isScalarKind,
  parseFilter,
  parseOrder,
  TRUE,
  type EntityShape,
  type Expr,
  type FieldKind,
  type Order,
} from "@pylonsync/query";
import { resultKind } from "../store/result-kind.ts";
import type { Aggregate, AggregateFunction, RelatedRow, TimeBucket } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";
import { TimeZone } from "./time-zone.ts";

const BUCKETS: readonly TimeBucket[] = ["hour", "day", "week", "month", "year"];
const LISTS = ["sum", "avg", "min", "max", "countDistinct"] as const;
const KEYS = new Set(["count", "groupBy", "where", "having", "order", "limit", ...LISTS]);

/** Postgres cuts off longer names of columns, in bytes. */
const MAX_RESULT_NAME = 60;

/** The keys of a filter that are not conditions. */
const SEPARATE = new Set(["$order", "$limit", "$offset", "$search"]);

/**
 * A field by which rows are grouped, of the rows themselves or of the row to which a relation
 * leads. A bucket may be in a time zone.
 */
export interface Group {
  readonly field: string;
  readonly related?: RelatedRow | undefined;
  readonly bucket?: TimeBucket | undefined;
  readonly zone?: TimeZone | undefined;
  /** Whether the field is a date without a time. */
  readonly isDate?: boolean | undefined;
  readonly as: string;
}
type Measure = Aggregate["measures"][number];

/** How the filter and the relations of an aggregate are parsed. */
export interface AggregateSource {
  parseWhere(filter: unknown): Expr;
  /**
   * @returns undefined if the entity has no relation of this name to one row
   * @throws PylonError, QueryError INVALID_COLUMN, INSUFFICIENT_SCOPE
   */
  related(
    relation: string,
    at: string,
  ): { readonly shape: EntityShape; readonly row: RelatedRow } | undefined;
}

/** A parsed aggregate. */
export interface ParsedAggregate {
  readonly where: Expr;
  readonly groupBy: readonly Group[];
  readonly measures: readonly Measure[];
  /** The condition on the results of a group. */
  readonly having: Expr | undefined;
  readonly order: readonly Order[] | undefined;
  readonly limit: number | undefined;
}

/**
 * Checks the body of `POST /api/aggregate/E`: `{count?, sum?[], avg?[], min?[], max?[],
 * countDistinct?[], groupBy?, where?, having?, order?, limit?}`. Result columns: `count`,
 * `count_field`, `sum_field`, `avg_field`, ..., and each grouped field under its own name.
 *
 * @throws PylonError INVALID_QUERY, INVALID_COLUMN
 */
export function parseAggregate(
  shape: EntityShape,
  spec: unknown,
  source: AggregateSource,
): ParsedAggregate {
  if (!isRecord(spec)) throw invalid("", "An aggregate must be an object.");
  const body = new Map<string, unknown>(Object.entries(spec));
  for (const key of body.keys()) {
    if (!KEYS.has(key))
      throw invalid(key, `An aggregate has no option "${key}".`, `Use ${[...KEYS].join(", ")}.`);
  }
  const asked: Measure[] = countsOf(shape, body.get("count"));
  for (const fn of LISTS)
    asked.push(...names(body.get(fn), fn).map((field) => measureOf(shape, fn, field)));
  // A value that is requested twice is returned once.
  const measures = [...new Map(asked.map((measure) => [measure.as, measure])).values()];
  const groupBy = list(body.get("groupBy"), "groupBy").map((item, index) =>
    groupOf(shape, item, `groupBy[${index}]`, source),
  );
  if (measures.length === 0)
    throw invalid(
      "",
      "The aggregate has no measure.",
      "Set count: true, or a field in sum, avg, min, max or countDistinct.",
    );
  if (measures.length + groupBy.length > MAX_AGGREGATE_TERMS)
    throw invalid("", `An aggregate may have at most ${MAX_AGGREGATE_TERMS} terms.`);
  checkDuplicateNames(groupBy, measures);
  return {
    where: body.has("where") ? source.parseWhere(body.get("where")) : TRUE,
    groupBy,
    measures,
    having: havingOf(shape, measures, body.get("having")),
    order: orderOf(groupBy, measures, body.get("order")),
    limit: limitOf(body.get("limit")),
  };
}

/** `"*"` counts the rows, as `true` does; a field's name counts its values in addition. */
function countsOf(shape: EntityShape, count: unknown): Measure[] {
  if (!count) return [];
  const rows: Measure = { fn: "count", as: "count" };
  if (typeof count !== "string" || count === "*") return [rows];
  kindOf(shape, count, "count");
  return [rows, { fn: "count", field: count, as: `count_${count}` }];
}

/**
 * Parses the condition on the measures of groups. Conditions on the keys of groups belong in
 * `where`.
 */
function havingOf(
  shape: EntityShape,
  measures: readonly Measure[],
  having: unknown,
): Expr | undefined {
  if (having === undefined) return undefined;
  if (!isRecord(having)) throw invalid("having", "`having` must be a filter on the results.");
  const separate = Object.keys(having).find((key) => SEPARATE.has(key));
  if (separate !== undefined)
    throw invalid(`having.${separate}`, `\`having\` does not support "${separate}".`);
  const isNumber = ({ fn, field }: Measure): boolean =>
    (fn !== "min" && fn !== "max") || isNumeric(shape.fields.get(field ?? ""));
  const fields = measures
    .filter(isNumber)
    .map((measure): [string, FieldKind] => [measure.as, resultKind(measure, shape)]);
  return parseFilter(having, { name: "The aggregate", fields: new Map(fields) }).where;
}

function orderOf(
  groupBy: readonly Group[],
  measures: readonly Measure[],
  order: unknown,
): Order[] | undefined {
  if (order === undefined) return undefined;
  const fields = [...groupBy, ...measures].map(({ as }): [string, FieldKind] => [as, "float"]);
  return parseOrder(order, { name: "The aggregate", fields: new Map(fields) }, { at: "order" });
}

function limitOf(limit: unknown): number | undefined {
  if (limit === undefined) return undefined;
  if (typeof limit === "number" && Number.isInteger(limit) && limit >= 1 && limit <= MAX_GROUPS)
    return limit;
  throw invalid("limit", `limit must be a whole number of groups from 1 to ${MAX_GROUPS}.`);
}

function isNumeric(kind: FieldKind | undefined): boolean {
  return kind === "int" || kind === "float" || kind === "decimal";
}

/**
 * Rejects two results with the same name: a result has one value per name, and Postgres can't group
 * by an ambiguous name.
 */
function checkDuplicateNames(groupBy: readonly Group[], measures: readonly Measure[]): void {
  const taken = new Set(measures.map(({ as }) => as));
  for (const [index, { as }] of groupBy.entries()) {
    if (taken.has(as))
      throw invalid(
        `groupBy[${index}]`,
        `The result would have two values named "${as}".`,
        "Group by each field only once, and request the other value in a separate aggregate.",
      );
    taken.add(as);
  }
}

function measureOf(shape: EntityShape, fn: AggregateFunction, field: string): Measure {
  const kind = kindOf(shape, field, fn);
  if ((fn === "sum" || fn === "avg") && !isNumeric(kind))
    throw invalid(fn, `${fn} requires a number, but ${field} is a ${kind}.`);
  if ((fn === "min" || fn === "max") && kind === "bool")
    throw invalid(fn, `${fn} requires ordered values, but ${field} is a bool.`);
  return { fn, field, as: `${fn}_${field}` };
}

function groupOf(shape: EntityShape, item: unknown, path: string, source: AggregateSource): Group {
  if (typeof item === "string") return plainGroup(shape, item, path, source);
  const group: Record<string, unknown> = isRecord(item) ? item : {};
  const { field, bucket, timeZone, ...rest } = group;
  if (typeof field !== "string")
    throw invalid(path, "A group must be a field name or {field, bucket, timeZone}.");
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw invalid(
      `${path}.${unknown.slice(0, 80)}`,
      `A group has no option ${JSON.stringify(unknown.slice(0, 80))}.`,
      "Use field, bucket, timeZone.",
    );
  if (bucket === undefined) {
    if (timeZone === undefined) return plainGroup(shape, field, path, source);
    throw invalid(`${path}.timeZone`, "A time zone requires a bucket.", "Set bucket as well.");
  }
  const known = BUCKETS.find((name) => name === bucket);
  if (known === undefined) {
    const shown = typeof bucket === "string" ? JSON.stringify(bucket.slice(0, 40)) : "This";
    throw invalid(
      `${path}.bucket`,
      `${shown} is not a valid bucket.`,
      `Use ${BUCKETS.join(", ")}.`,
    );
  }
  const kind = kindOf(shape, field, path);
  if (shape.dates?.has(field) === true) return dateGroup(field, known, timeZone, path);
  if (kind !== "datetime")
    throw invalid(
      `${path}.bucket`,
      `Only datetime and date fields can be grouped in buckets, but ${field} is a ${kind}.`,
    );
  if (timeZone === undefined) return { field, bucket: known, as: field };
  const zone = TimeZone.of(timeZone);
  if (zone === undefined)
    throw invalid(
      `${path}.timeZone`,
      `${describeValue(timeZone)} is not a time zone.`,
      'Use a name such as "Europe/Berlin"; by default, buckets are in UTC.',
    );
  return { field, bucket: known, zone, as: field };
}

/** A bucket of dates: they have no time, and are the same days everywhere. */
function dateGroup(field: string, bucket: TimeBucket, timeZone: unknown, path: string): Group {
  if (bucket === "hour")
    throw invalid(`${path}.bucket`, `${field} is a date, which has no hours.`, "Use day.");
  if (timeZone !== undefined)
    throw invalid(`${path}.timeZone`, `${field} is a date, which has no time zone.`, "Omit it.");
  return { field, bucket, isDate: true, as: field };
}

/** A field of the rows, or of the row to which a relation leads: `customer.country`. */
function plainGroup(
  shape: EntityShape,
  name: string,
  path: string,
  source: AggregateSource,
): Group {
  const [relation = "", field = "", ...more] = name.split(".");
  const found =
    field === "" || more.length > 0 || shape.fields.has(name)
      ? undefined
      : source.related(relation, path);
  if (found === undefined) {
    kindOf(shape, name, path);
    return { field: name, as: name };
  }
  kindOf(found.shape, field, path);
  if (name.length > MAX_RESULT_NAME)
    throw invalid(path, `A related field may have at most ${MAX_RESULT_NAME} characters.`);
  return { field, related: found.row, as: name };
}

function kindOf(shape: EntityShape, field: string, path: string): FieldKind {
  const kind = shape.fields.get(field);
  if (kind === undefined) {
    throw new PylonError("INVALID_COLUMN", `${shape.name} has no field "${field}".`, {
      field: path,
      hint: shape.hintFor?.(field) ?? `Its fields: ${[...shape.fields.keys()].join(", ")}.`,
    });
  }
  if (!isScalarKind(kind))
    throw invalid(
      path,
      `${field} is ${kind === "array" ? "an" : "a"} ${kind}, which can't be ordered.`,
    );
  return kind;
}

function names(value: unknown, key: string): string[] {
  return list(value, key).map((name, index) => {
    if (typeof name !== "string") throw invalid(`${key}[${index}]`, "Use a field name.");
    return name;
  });
}

function list(value: unknown, key: string): unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(key, `"${key}" must be a list.`);
  return value;
}

function invalid(field: string, message: string, hint?: string): PylonError {
  return new PylonError("INVALID_QUERY", message, {
    field,
    ...(hint === undefined ? {} : { hint }),
  });
}
