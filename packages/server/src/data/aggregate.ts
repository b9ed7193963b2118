import { MAX_AGGREGATE_TERMS, PylonError } from "@pylonsync/protocol";
import { isScalarKind, TRUE, type EntityShape, type Expr, type FieldKind } from "@pylonsync/query";
import type { Aggregate, AggregateFunction, TimeBucket } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";

const BUCKETS: readonly TimeBucket[] = ["hour", "day", "week", "month", "year"];
const LISTS = ["sum", "avg", "min", "max", "countDistinct"] as const;
const KEYS = new Set(["count", "groupBy", "where", ...LISTS]);

type Group = Aggregate["groupBy"][number];
type Measure = Aggregate["measures"][number];

/**
 * Checks the body of `POST /api/aggregate/E`: `{count?, sum?[], avg?[], min?[], max?[],
 * countDistinct?[], groupBy?, where?}`. Result columns: `count`, `sum_field`, `avg_field`, ..., and
 * each grouped field under its own name.
 *
 * @throws PylonError INVALID_QUERY, INVALID_COLUMN
 */
export function parseAggregate(
  shape: EntityShape,
  spec: unknown,
  parseWhere: (filter: unknown) => Expr,
): { where: Expr; groupBy: Group[]; measures: Measure[] } {
  if (!isRecord(spec)) throw invalid("", "An aggregate is an object.");
  const body = new Map<string, unknown>(Object.entries(spec));
  for (const key of body.keys()) {
    if (!KEYS.has(key))
      throw invalid(key, `"${key}" is not part of an aggregate.`, `Use ${[...KEYS].join(", ")}.`);
  }
  const asked: Measure[] = body.get("count") ? [{ fn: "count", as: "count" }] : [];
  for (const fn of LISTS)
    asked.push(...names(body.get(fn), fn).map((field) => measureOf(shape, fn, field)));
  // What is asked for twice is answered once.
  const measures = [...new Map(asked.map((measure) => [measure.as, measure])).values()];
  const groupBy = list(body.get("groupBy"), "groupBy").map((item, index) =>
    groupOf(shape, item, `groupBy[${index}]`),
  );
  if (measures.length === 0)
    throw invalid(
      "",
      "The aggregate asks for nothing.",
      "Set count: true, or name a field in sum, avg, min, max or countDistinct.",
    );
  if (measures.length + groupBy.length > MAX_AGGREGATE_TERMS)
    throw invalid("", `An aggregate has at most ${MAX_AGGREGATE_TERMS} terms.`);
  refuseClashes(groupBy, measures);
  return { where: body.has("where") ? parseWhere(body.get("where")) : TRUE, groupBy, measures };
}

/** A result has one value under a name, and Postgres can't group by a name that stands for two. */
function refuseClashes(groupBy: readonly Group[], measures: readonly Measure[]): void {
  const taken = new Set(measures.map(({ as }) => as));
  for (const [index, { as }] of groupBy.entries()) {
    if (taken.has(as))
      throw invalid(
        `groupBy[${index}]`,
        `The result would have two values under "${as}".`,
        "Group by a field once, and ask for the other value in an aggregate of its own.",
      );
    taken.add(as);
  }
}

function measureOf(shape: EntityShape, fn: AggregateFunction, field: string): Measure {
  const kind = kindOf(shape, field, fn);
  const numeric = kind === "int" || kind === "float";
  if ((fn === "sum" || fn === "avg") && !numeric)
    throw invalid(fn, `${fn} needs a number, and ${field} is a ${kind}.`);
  if ((fn === "min" || fn === "max") && kind === "bool")
    throw invalid(fn, `${fn} needs values with an order, and ${field} is a bool.`);
  return { fn, field, as: `${fn}_${field}` };
}

function groupOf(shape: EntityShape, item: unknown, path: string): Group {
  if (typeof item === "string") {
    kindOf(shape, item, path);
    return { field: item, as: item };
  }
  const group: Record<string, unknown> = isRecord(item) ? item : {};
  const { field, bucket, ...rest } = group;
  if (typeof field !== "string")
    throw invalid(path, "A group is a field's name or {field, bucket}.");
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw invalid(
      `${path}.${unknown.slice(0, 80)}`,
      `A group has no ${JSON.stringify(unknown.slice(0, 80))}.`,
      "Use field, bucket. Buckets are in UTC.",
    );
  const kind = kindOf(shape, field, path);
  if (bucket === undefined) return { field, as: field };
  const known = BUCKETS.find((name) => name === bucket);
  if (known === undefined) {
    const shown = typeof bucket === "string" ? JSON.stringify(bucket.slice(0, 40)) : "This";
    throw invalid(`${path}.bucket`, `${shown} is not a bucket.`, `Use ${BUCKETS.join(", ")}.`);
  }
  if (kind !== "datetime")
    throw invalid(`${path}.bucket`, `Only a datetime has buckets, and ${field} is a ${kind}.`);
  return { field, bucket: known, as: field };
}

function kindOf(shape: EntityShape, field: string, path: string): FieldKind {
  const kind = shape.fields.get(field);
  if (kind === undefined) {
    throw new PylonError("INVALID_COLUMN", `${shape.name} has no field "${field}".`, {
      field: path,
      hint: `Its fields: ${[...shape.fields.keys()].join(", ")}.`,
    });
  }
  if (!isScalarKind(kind))
    throw invalid(
      path,
      `${field} is ${kind === "array" ? "an" : "a"} ${kind}, which has no order.`,
    );
  return kind;
}

function names(value: unknown, key: string): string[] {
  return list(value, key).map((name, index) => {
    if (typeof name !== "string") throw invalid(`${key}[${index}]`, "Name a field.");
    return name;
  });
}

function list(value: unknown, key: string): unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(key, `"${key}" is a list.`);
  return value;
}

function invalid(field: string, message: string, hint?: string): PylonError {
  return new PylonError("INVALID_QUERY", message, {
    field,
    ...(hint === undefined ? {} : { hint }),
  });
}
