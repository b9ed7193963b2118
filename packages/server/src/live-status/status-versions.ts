import { and, path, type Expr } from "@pylonsync/query";
import type { Store, Value } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

/** Whose status is followed. */
export type StatusKind = "job" | "workflow";

/** Those that are looked at by one statement. */
const PAGE = 500;

/** What of a row shows that it has changed, without what is large in it. */
const LOOKS = {
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
    // Steps come, and change their status: how many there are of each says so.
    { entity: SYSTEM_TABLES.workflowSteps.name, id: "runId", fields: ["status"] },
  ],
} as const;

/**
 * Texts that differ when something that clients see of these may have changed, by their ids; for
 * each that is there.
 */
export async function versionsOf(
  store: Pick<Store, "aggregate">,
  kind: StatusKind,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const versions = new Map<string, string>();
  for (let from = 0; from < ids.length; from += PAGE)
    for (const { entity, id, fields } of LOOKS[kind]) {
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
