import { MAX_GRAPH_ENTITIES, MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import { isRecord } from "../util/is-record.ts";
import { IncludeBudget, type IncludedRow } from "./include.ts";
import type { Reads } from "./reads.ts";

const KEYS = ["where", "order", "include", "limit"];

/**
 * Runs the query `{Todo: {where?, order?, include?, limit?}}`. The read policy of their own entity
 * applies to included rows.
 */
export async function runGraph(
  reads: Reads,
  graph: unknown,
): Promise<Record<string, IncludedRow[]>> {
  const parts = Object.entries(
    asObject(graph, "", "A graph query must be an object of entity to {where?, include?, limit?}."),
  );
  if (parts.length > MAX_GRAPH_ENTITIES)
    throw new PylonError(
      "INVALID_QUERY",
      `A graph query may have at most ${MAX_GRAPH_ENTITIES} entities.`,
    );
  const result: [string, IncludedRow[]][] = [];
  const budget = new IncludeBudget(reads.isBounded);
  for (const [name, value] of parts) result.push([name, await runPart(reads, name, value, budget)]);
  return Object.fromEntries(result);
}

function runPart(
  reads: Reads,
  name: string,
  value: unknown,
  budget: IncludeBudget,
): Promise<IncludedRow[]> {
  const part = asObject(value, name, `The query of ${name} must be an object.`);
  for (const key of Object.keys(part)) {
    if (!KEYS.includes(key)) {
      throw new PylonError("INVALID_QUERY", `A graph query has no option "${key}".`, {
        field: `${name}.${key}`,
        hint: `Use ${KEYS.join(", ")}.`,
      });
    }
  }
  const where = asObject(part["where"] ?? {}, `${name}.where`, "`where` must be a filter object.");
  const filter = {
    $limit: MAX_PAGE_SIZE,
    ...where,
    ...(part["order"] === undefined ? {} : { $order: part["order"] }),
    ...(part["limit"] === undefined ? {} : { $limit: part["limit"] }),
  };
  if (reads.isBounded && typeof filter.$limit === "number" && filter.$limit > MAX_PAGE_SIZE)
    throw new PylonError(
      "INVALID_QUERY",
      `A query may return at most ${MAX_PAGE_SIZE} rows of an entity.`,
      {
        field: `${name}.limit`,
      },
    );
  return reads.part(name, filter, part["include"] ?? {}, { at: `${name}.include`, budget });
}

function asObject(value: unknown, field: string, message: string): Record<string, unknown> {
  if (!isRecord(value)) throw new PylonError("INVALID_QUERY", message, { field });
  return value;
}
