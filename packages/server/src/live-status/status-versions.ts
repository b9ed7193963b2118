import { and, path, type Expr } from "@pylonsync/query";
import type { Store, Value } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

/** The kinds of things whose status is followed. */
export type StatusKind = "job" | "workflow";

/** The maximum number that one statement reads. */
const PAGE = 500;

/** The parts of a row that show that it has changed, without its large values. */
const VERSION_QUERIES = {
  job: [
    {
      entity: SYSTEM_TABLES.jobs.name,
      id: "id",
      fields: ["status", "attempts", "progress", "startedAt", "finishedAt"],
    },
  ],
  workflow: [
    {
      entity: SYSTEM_TABLES.workflowRuns.name,
      id: "id",
      fields: ["status", "state", "signals", "generation", "finishedAt"],
    },
    // Steps are added and change their status: the number of each status shows it.
    { entity: SYSTEM_TABLES.workflowSteps.name, id: "runId", fields: ["status"] },
  ],
} as const;

/**
 * Returns, by id, a text that differs if something that clients see may have changed; only for
 * those that exist.
 */
export async function versionsOf(
  store: Pick<Store, "aggregate">,
  kind: StatusKind,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const versions = new Map<string, string>();
  for (let from = 0; from < ids.length; from += PAGE)
    for (const { entity, id, fields } of VERSION_QUERIES[kind]) {
      const groups = await store.aggregate({
        entity,
        where: and(isIn(id, ids.slice(from, from + PAGE))),
        groupBy: [id, ...fields].map((field) => ({ field, as: field })),
        measures: [{ fn: "count", as: "count" }],
      });
      for (const group of groups) add(versions, group, id);
    }
  return versions;
}

function add(versions: Map<string, string>, group: Record<string, Value>, id: string): void {
  const key = String(group[id]);
  versions.set(key, `${versions.get(key) ?? ""} ${JSON.stringify(group)}`);
}

function isIn(field: string, ids: readonly string[]): Expr {
  const items = ids.map((value) => ({ kind: "literal", value }) as const);
  return { kind: "in", item: path("data", field), list: { kind: "list", items } };
}
