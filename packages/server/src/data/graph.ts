import {
  MAX_GRAPH_ENTITIES,
  MAX_GRAPH_ROWS,
  MAX_PAGE_SIZE,
  MAX_RESULT_BYTES,
  PylonError,
} from "@pylonsync/protocol";
import { MAX_LIST_VALUES } from "@pylonsync/query";
import type { ManifestRelation } from "@pylonsync/sdk";
import type { Entity } from "../schema/schema.ts";
import { rowSize } from "../store/row-size.ts";
import type { StoredRow, Value } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";
import type { DataModel } from "./model.ts";
import type { Reads } from "./reads.ts";
import { resultTooLarge } from "./result-size.ts";

/** A row with its related rows under the names of the relations. */
export type GraphRow = { readonly id: string } & {
  readonly [name: string]: Value | StoredRow | readonly StoredRow[];
};

/** What the answer of one graph query may still hold. A row counts each time it appears. */
class Budget {
  #rows: number;
  #bytes: number;

  constructor(isBounded: boolean) {
    this.#rows = isBounded ? MAX_GRAPH_ROWS : Infinity;
    this.#bytes = isBounded ? MAX_RESULT_BYTES : Infinity;
  }

  /** Bytes that are left. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Rows of a statement to ask for: one more than may come, which tells that there are too many.
   */
  get limit(): { readonly $limit?: number } {
    return this.#rows === Infinity ? {} : { $limit: this.#rows + 1 };
  }

  /** @throws PylonError RESULT_TOO_LARGE */
  take(rows: readonly StoredRow[]): void {
    this.#rows -= rows.length;
    for (const row of rows) this.#bytes -= rowSize(row);
    if (this.#bytes <= 0) throw resultTooLarge();
    if (this.#rows < 0)
      throw new PylonError(
        "RESULT_TOO_LARGE",
        `A graph query answers at most ${MAX_GRAPH_ROWS} rows, included ones among them.`,
        { hint: "Ask for fewer with limit, or query the related entity by itself." },
      );
  }
}

/**
 * Answers `{Todo: {where?, include?, limit?}}`. Included rows pass the read rule of their own
 * entity.
 */
export async function runGraph(
  reads: Reads,
  model: DataModel,
  graph: unknown,
): Promise<Record<string, GraphRow[]>> {
  const parts = Object.entries(
    asObject(graph, "", "A graph query is an object of entity to {where?, include?, limit?}."),
  );
  if (parts.length > MAX_GRAPH_ENTITIES)
    throw new PylonError(
      "INVALID_QUERY",
      `A graph query names at most ${MAX_GRAPH_ENTITIES} entities.`,
    );
  const result: [string, GraphRow[]][] = [];
  const budget = new Budget(reads.isBounded);
  for (const [name, value] of parts)
    result.push([name, await runPart(reads, model, name, value, budget)]);
  return Object.fromEntries(result);
}

async function runPart(
  reads: Reads,
  model: DataModel,
  name: string,
  value: unknown,
  budget: Budget,
): Promise<GraphRow[]> {
  const entity = model.entity(name);
  const part = asObject(value, name, `What is asked of ${name} is an object.`);
  for (const key of Object.keys(part)) {
    if (key !== "where" && key !== "include" && key !== "limit") {
      throw new PylonError("INVALID_QUERY", `"${key}" is not a part of a graph query.`, {
        field: `${name}.${key}`,
        hint: "Use where, include, limit.",
      });
    }
  }
  const where = asObject(part["where"] ?? {}, `${name}.where`, "`where` is a filter object.");
  const filter = {
    $limit: MAX_PAGE_SIZE,
    ...where,
    ...(part["limit"] === undefined ? {} : { $limit: part["limit"] }),
  };
  if (reads.isBounded && typeof filter.$limit === "number" && filter.$limit > MAX_PAGE_SIZE)
    throw new PylonError("INVALID_QUERY", `An entity answers at most ${MAX_PAGE_SIZE} rows.`, {
      field: `${name}.limit`,
    });
  const rows = await reads.query(name, filter, budget.bytes);
  budget.take(rows);
  const include = asObject(
    part["include"] ?? {},
    `${name}.include`,
    "`include` is an object of relation to {}.",
  );
  let joined: GraphRow[] = rows;
  for (const [relationName, options] of Object.entries(include)) {
    refuseOptions(options, `${name}.include.${relationName}`);
    joined = await joinRelation(
      reads,
      joined,
      relationOf(entity, relationName),
      `${name}.include.${relationName}`,
      budget,
    );
  }
  return joined;
}

/** Related rows are whole, and one level deep. @throws PylonError INVALID_QUERY */
function refuseOptions(options: unknown, path: string): void {
  if (options === true) return;
  const [key] = Object.keys(asObject(options, path, "What is asked of a relation is {}."));
  if (key === undefined) return;
  throw new PylonError("INVALID_QUERY", `Related rows take no "${key.slice(0, 80)}".`, {
    field: `${path}.${key}`,
    hint:
      key === "include"
        ? "Related rows come one level deep: ask for theirs in a query of its own."
        : "Write {} for the related rows as they are.",
  });
}

function relationOf(entity: Entity, name: string): ManifestRelation {
  const relation = entity.relations.get(name);
  if (relation === undefined) {
    throw new PylonError("RELATION_NOT_FOUND", `${entity.name} has no relation "${name}".`, {
      field: `${entity.name}.include.${name}`,
      hint: `Its relations: ${[...entity.relations.keys()].join(", ") || "none"}.`,
    });
  }
  return relation;
}

/** One query for all rows: the ids in batches, then each row gets its own. */
async function joinRelation(
  reads: Reads,
  rows: readonly GraphRow[],
  relation: ManifestRelation,
  path: string,
  budget: Budget,
): Promise<GraphRow[]> {
  const many = relation.many === true;
  const ownKey = many ? "id" : relation.field;
  const targetKey = many ? relation.field : "id";
  const keys = [
    ...new Set(rows.map((row) => row[ownKey]).filter((key) => typeof key === "string")),
  ];
  const found = new Map<unknown, StoredRow[]>();
  for (let start = 0; start < keys.length; start += MAX_LIST_VALUES) {
    const batch = await reads.query(
      relation.target,
      { [targetKey]: { $in: keys.slice(start, start + MAX_LIST_VALUES) }, ...budget.limit },
      budget.bytes,
    );
    for (const row of batch) {
      const group = found.get(row[targetKey]);
      if (group === undefined) found.set(row[targetKey], [row]);
      else group.push(row);
    }
  }
  return rows.map((row) => {
    if (Object.hasOwn(row, relation.name))
      throw new PylonError(
        "INVALID_QUERY",
        `The relation "${relation.name}" has the name of a field.`,
        { field: path },
      );
    const related = found.get(row[ownKey]) ?? [];
    budget.take(related);
    return { ...row, [relation.name]: many ? related : (related[0] ?? null) };
  });
}

function asObject(value: unknown, field: string, message: string): Record<string, unknown> {
  if (!isRecord(value)) throw new PylonError("INVALID_QUERY", message, { field });
  return value;
}
