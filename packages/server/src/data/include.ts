import {
  MAX_GRAPH_ROWS,
  MAX_INCLUDE_DEPTH,
  MAX_INCLUDES,
  MAX_PAGE_SIZE,
  MAX_RESULT_BYTES,
  PylonError,
} from "@pylonsync/protocol";
import {
  and,
  literal,
  MAX_LIST_VALUES,
  nearest,
  path,
  QueryError,
  type Expr,
  type Order,
  type ParsedFilter,
} from "@pylonsync/query";
import type { ManifestRelation } from "@pylonsync/sdk";
import type { Entity } from "../schema/schema.ts";
import { rowSize } from "../store/row-size.ts";
import { PARENT, type Select, type StoredRow, type Value } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";
import { resultTooLarge } from "./result-size.ts";

/** A row with its related rows under the names of the relations. */
export type IncludedRow = { readonly id: string } & {
  readonly [name: string]: Value | IncludedRow | null | readonly IncludedRow[];
};

/** How the rows of a relation are found from a row, and the entity that joins the two. */
export interface IncludePath {
  readonly key: string;
  readonly field: string;
  readonly through: { readonly entity: Entity; readonly targetField: string } | null;
}

/** The access of a caller with which includes are read. */
export interface IncludeSource {
  select(query: Select): Promise<StoredRow[]>;
  /** @throws PylonError ENTITY_NOT_FOUND */
  entity(name: string): Entity;
  /**
   * @throws QueryError INVALID_COLUMN if it uses a field that the caller may not use in conditions
   */
  pathOf(relation: ManifestRelation, at: string, owner: Entity): IncludePath;
  /** @throws QueryError, PylonError INVALID_QUERY, INVALID_COLUMN */
  filter(entity: Entity, filter: unknown): ParsedFilter;
  /** The condition for rows that may be read. */
  readable(entity: Entity): Expr;
  visible(entity: Entity, rows: StoredRow[]): StoredRow[];
}

/** A checked include of related rows. */
export interface Include extends IncludePath {
  /** The name of the relation. */
  readonly name: string;
  readonly isMany: boolean;
  readonly target: Entity;
  /** The requested condition, without the read policy. */
  readonly where: Expr;
  readonly order: readonly Order[];
  /** The maximum number of related rows per row. */
  readonly limit: number | undefined;
  readonly includes: readonly Include[];
}

const KEYS = ["where", "order", "limit", "include"];
/** The keys of a filter that are not conditions, and that an include has elsewhere. */
const SEPARATE = ["$order", "$limit", "$offset", "$search", "$include"];

/**
 * Checks `{author: true, reactions: {where, order, limit, include}}`.
 *
 * @param at the place of the include, for messages
 * @throws PylonError, QueryError RELATION_NOT_FOUND, INVALID_QUERY, INVALID_COLUMN
 */
export function parseIncludes(
  entity: Entity,
  asked: unknown,
  at: string,
  source: Pick<IncludeSource, "entity" | "pathOf" | "filter">,
): readonly Include[] {
  let count = 0;
  const level = (owner: Entity, value: unknown, place: string, depth: number): Include[] => {
    if (!isRecord(value)) throw invalid(place, "`include` must be an object of relation to {}.");
    const entries = Object.entries(value);
    if (depth > MAX_INCLUDE_DEPTH && entries.length > 0)
      throw invalid(place, `Includes may nest at most ${MAX_INCLUDE_DEPTH} levels.`);
    count += entries.length;
    if (count > MAX_INCLUDES)
      throw invalid(place, `A query may include at most ${MAX_INCLUDES} relations.`);
    return entries.map(([name, options]) => {
      const here = `${place}.${name}`;
      const relation = relationOf(owner, name, here);
      const target = source.entity(relation.target);
      const { where, order, limit, include } = optionsOf(options, here);
      return {
        ...source.pathOf(relation, here, owner),
        name,
        isMany: relation.many === true,
        target,
        ...conditionsOf(target, { where, order, at: here }, source),
        limit: limitOf(relation, limit, `${here}.limit`),
        includes: include === undefined ? [] : level(target, include, `${here}.include`, depth + 1),
      };
    });
  };
  return level(entity, asked, at, 1);
}

function relationOf(entity: Entity, name: string, field: string): ManifestRelation {
  const relation = entity.relations.get(name);
  if (relation !== undefined && entity.shape.fields.has(name))
    throw invalid(field, `The relation "${name}" has the same name as a field.`);
  if (relation !== undefined) return relation;
  const meant = nearest(name, entity.relations.keys());
  const label = name.slice(0, 80);
  throw new PylonError("RELATION_NOT_FOUND", `${entity.name} has no relation "${label}".`, {
    field,
    hint:
      meant === undefined
        ? `Its relations: ${[...entity.relations.keys()].join(", ") || "none"}.`
        : `Did you mean "${meant}"?`,
  });
}

function optionsOf(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (value === true) return {};
  if (!isRecord(value))
    throw invalid(at, "The include of a relation must be true or {where, order, limit, include}.");
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown === undefined) return value;
  const key = unknown.slice(0, 80);
  throw invalid(`${at}.${key}`, `An include has no option "${key}".`, `Use ${KEYS.join(", ")}.`);
}

function conditionsOf(
  target: Entity,
  {
    where = {},
    order,
    at,
  }: { readonly where: unknown; readonly order: unknown; readonly at: string },
  source: Pick<IncludeSource, "filter">,
): Pick<Include, "where" | "order"> {
  if (!isRecord(where)) throw invalid(`${at}.where`, "A filter must be an object.");
  const separate = SEPARATE.find((key) => Object.hasOwn(where, key));
  if (separate !== undefined)
    throw invalid(
      `${at}.where.${separate}`,
      `The where of an include does not support "${separate}".`,
    );
  const parsed = placed(`${at}.where`, () => source.filter(target, where));
  if (order === undefined) return { where: parsed.where, order: [] };
  const ordered = placed(`${at}.order`, () => source.filter(target, { $order: order }));
  return { where: parsed.where, order: ordered.order };
}

/** Runs `check`, and puts the place of the include into its errors. */
function placed<T>(at: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    const inner = error.field?.replace(/^\$order\.?/, "") ?? "";
    throw new QueryError(error.code, error.message, {
      field: inner === "" ? at : `${at}.${inner}`,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

function limitOf({ many }: ManifestRelation, limit: unknown, at: string): number | undefined {
  if (limit === undefined) return undefined;
  if (many !== true) throw invalid(at, "The relation has only one row, so limit is not allowed.");
  if (typeof limit === "number" && Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE_SIZE)
    return limit;
  throw invalid(at, `limit must be a whole number from 1 to ${MAX_PAGE_SIZE}.`);
}

function invalid(field: string, message: string, hint?: string): PylonError {
  return new PylonError("INVALID_QUERY", message, {
    field,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The remaining size of a response. A row counts each time it appears. */
export class IncludeBudget {
  #rows: number;
  #bytes: number;

  constructor(isBounded: boolean) {
    this.#rows = isBounded ? MAX_GRAPH_ROWS : Infinity;
    this.#bytes = isBounded ? MAX_RESULT_BYTES : Infinity;
  }

  /** The number of remaining bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The maximum that a statement reads: one row more than is left shows that there are too many.
   */
  get bounds(): Pick<Select, "limit" | "maxBytes"> {
    return this.#rows === Infinity ? {} : { limit: this.#rows + 1, maxBytes: this.#bytes };
  }

  /** @throws PylonError RESULT_TOO_LARGE */
  take(rows: readonly StoredRow[]): void {
    for (const row of rows) this.spend({ rows: 1, bytes: rowSize(row) });
  }

  /** @throws PylonError RESULT_TOO_LARGE */
  spend({ rows, bytes }: Weight): void {
    this.#rows -= rows;
    this.#bytes -= bytes;
    if (this.#bytes <= 0) throw resultTooLarge();
    if (this.#rows < 0)
      throw new PylonError(
        "RESULT_TOO_LARGE",
        `A response may have at most ${MAX_GRAPH_ROWS} rows, including related rows.`,
        { hint: "Reduce them with limit, or query the related entity separately." },
      );
  }
}

interface Weight {
  readonly rows: number;
  readonly bytes: number;
}

/** A row with its included rows, and the size of these. */
interface Weighed extends Weight {
  readonly row: IncludedRow;
}

/**
 * Adds the related rows to the rows: one statement per level for up to MAX_LIST_VALUES rows.
 *
 * @param rows already subtracted from the budget
 */
export async function joinIncludes(
  rows: readonly StoredRow[],
  includes: readonly Include[],
  source: IncludeSource,
  budget: IncludeBudget,
): Promise<IncludedRow[]> {
  return (await joinAll(rows, includes, source, budget)).map(({ row }) => row);
}

async function joinAll(
  rows: readonly StoredRow[],
  includes: readonly Include[],
  source: IncludeSource,
  budget: IncludeBudget,
): Promise<Weighed[]> {
  const found = new Map<Include, Map<unknown, Weighed[]>>();
  for (const include of includes)
    found.set(include, await readRelated(rows, include, source, budget));
  return rows.map((row) => {
    const joined: [string, IncludedRow[string]][] = [];
    let [count, bytes] = [1, rowSize(row)];
    for (const [{ name, key, isMany }, byKey] of found) {
      const related = byKey.get(row[key] ?? null) ?? [];
      for (const one of related) [count, bytes] = [count + one.rows, bytes + one.bytes];
      const shown = related.map((one) => one.row);
      joined.push([name, isMany ? shown : (shown[0] ?? null)]);
    }
    return { row: { ...row, ...Object.fromEntries(joined) }, rows: count, bytes };
  });
}

/** Reads the related rows of all rows, grouped by the value that leads to them. */
async function readRelated(
  rows: readonly StoredRow[],
  include: Include,
  source: IncludeSource,
  budget: IncludeBudget,
): Promise<Map<unknown, Weighed[]>> {
  const { key, field, through, target } = include;
  const uses = new Map<Value, number>();
  for (const row of rows) {
    const value = row[key] ?? null;
    if (value !== null) uses.set(value, (uses.get(value) ?? 0) + 1);
  }
  const keys = [...uses.keys()];
  const pairs: { readonly parent: unknown; readonly id: string }[] = [];
  const byId = new Map<string, StoredRow>();
  for (let start = 0; start < keys.length; start += MAX_LIST_VALUES) {
    const batch = keys.slice(start, start + MAX_LIST_VALUES);
    for (const row of await source.select(selectOf(include, batch, source, budget))) {
      pairs.push({ parent: row[through === null ? field : PARENT], id: row.id });
      if (!byId.has(row.id)) byId.set(row.id, row);
    }
  }
  const all = [...byId.values()];
  const visible = source.visible(target, through === null ? all : all.map(withoutParent));
  budget.take(visible);
  const joined = await joinAll(visible, include.includes, source, budget);
  const weighed = new Map(joined.map((one) => [one.row.id, one]));
  const related = new Map<unknown, Weighed[]>();
  const counted = new Set<string>();
  for (const { parent, id } of pairs) {
    const one = weighed.get(id);
    if (one === undefined) continue;
    const group = related.get(parent);
    if (group === undefined) related.set(parent, [one]);
    else group.push(one);
    // It was already counted once, when it was read.
    const times = (uses.get(asKey(parent)) ?? 1) - (counted.has(id) ? 0 : 1);
    counted.add(id);
    budget.spend({ rows: one.rows * times, bytes: one.bytes * times });
  }
  return related;
}

function selectOf(
  { target, field, through, where, order, limit }: Include,
  keys: readonly Value[],
  source: IncludeSource,
  budget: IncludeBudget,
): Select {
  const isOfOne: Expr = {
    kind: "in",
    item: path("data", field),
    list: { kind: "list", items: keys.map((value) => literal(asKey(value))) },
  };
  const wanted = and(where, source.readable(target));
  return {
    entity: target.name,
    where: through === null ? and(isOfOne, wanted) : wanted,
    order,
    ...budget.bounds,
    perParent: {
      field,
      limit,
      through:
        through === null
          ? undefined
          : {
              entity: through.entity.name,
              targetField: through.targetField,
              where: and(isOfOne, source.readable(through.entity)),
            },
    },
  };
}

/** The value of a field that leads to rows, which is never a list or an object. */
function asKey(value: unknown): string | number | boolean | null {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? value
    : null;
}

function withoutParent(row: StoredRow): StoredRow {
  if (!Object.hasOwn(row, PARENT)) return row;
  const { [PARENT]: _parent, ...rest } = row;
  return { ...rest, id: row.id };
}
