import { MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import { MAX_LIST_VALUES } from "@pylonsync/query";
import type { ManifestRelation } from "@pylonsync/sdk";
import type { Entity } from "../schema/schema.ts";
import type { StoredRow } from "../store/store.ts";
import type { DataModel } from "./model.ts";
import type { Reads } from "./reads.ts";

const MAX_ENTITIES = 16;

/**
 * Answers `{Todo: {where?, include?, limit?}}`. Included rows pass the read rule of their own
 * entity.
 */
export async function runGraph(
  reads: Reads,
  model: DataModel,
  graph: unknown,
): Promise<Record<string, StoredRow[]>> {
  const parts = Object.entries(
    asObject(graph, "", "A graph query is an object of entity to {where?, include?, limit?}."),
  );
  if (parts.length > MAX_ENTITIES)
    throw new PylonError("INVALID_QUERY", `A graph query names at most ${MAX_ENTITIES} entities.`);
  const result: [string, StoredRow[]][] = [];
  for (const [name, value] of parts) result.push([name, await runPart(reads, model, name, value)]);
  return Object.fromEntries(result);
}

async function runPart(
  reads: Reads,
  model: DataModel,
  name: string,
  value: unknown,
): Promise<StoredRow[]> {
  const entity = model.entity(name);
  const part = asObject(value, name, `What is asked of ${name} is an object.`);
  for (const key of Object.keys(part)) {
    if (key !== "where" && key !== "include" && key !== "limit") {
      throw new PylonError("INVALID_QUERY", `"${key}" is no part of a graph query.`, {
        field: `${name}.${key}`,
        hint: "Use where, include, limit.",
      });
    }
  }
  const where = asObject(part["where"] ?? {}, `${name}.where`, "`where` is a filter object.");
  const rows = await reads.query(name, {
    $limit: MAX_PAGE_SIZE,
    ...where,
    ...(part["limit"] === undefined ? {} : { $limit: part["limit"] }),
  });
  const include = asObject(
    part["include"] ?? {},
    `${name}.include`,
    "`include` is an object of relation to {}.",
  );
  let joined = rows;
  for (const [relationName, options] of Object.entries(include)) {
    refuseOptions(options, `${name}.include.${relationName}`);
    joined = await joinRelation(
      reads,
      joined,
      relationOf(entity, relationName),
      `${name}.include.${relationName}`,
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
  rows: StoredRow[],
  relation: ManifestRelation,
  path: string,
): Promise<StoredRow[]> {
  const many = relation.many === true;
  const ownKey = many ? "id" : relation.field;
  const targetKey = many ? relation.field : "id";
  const keys = [
    ...new Set(rows.map((row) => row[ownKey]).filter((key) => typeof key === "string")),
  ];
  const found = new Map<unknown, StoredRow[]>();
  for (let start = 0; start < keys.length; start += MAX_LIST_VALUES) {
    const batch = await reads.query(relation.target, {
      [targetKey]: { $in: keys.slice(start, start + MAX_LIST_VALUES) },
    });
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
    return { ...row, [relation.name]: (many ? related : (related[0] ?? null)) as never };
  });
}

function asObject(value: unknown, field: string, message: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new PylonError("INVALID_QUERY", message, { field });
  return value as Record<string, unknown>;
}
