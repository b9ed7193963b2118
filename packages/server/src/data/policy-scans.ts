import { hasExists } from "@pylonsync/query";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import type { Diagnostic } from "../schema/diagnostic.ts";
import type { Store } from "../store/store.ts";
import type { DataModel } from "./model.ts";

/** A typical caller: signed in, in a tenant, with no role. */
const SAMPLE_CALLER: Caller = { ...ANONYMOUS, userId: "somebody", tenantId: "one" };

/**
 * Returns a warning for each entity whose read policy scans all rows of another entity, because no
 * index leads to the matching ones: a list becomes slower with each row of both.
 *
 * @param at milliseconds since 1970
 */
export async function policyScans(
  store: Store,
  { schema, rules }: DataModel,
  at: number,
): Promise<Diagnostic[]> {
  const found: Diagnostic[] = [];
  for (const { name } of schema.entities) {
    const where = rules.readable(name, SAMPLE_CALLER, new Date(at).toISOString());
    if (!hasExists(where)) continue;
    const { scans } = await store.explain({ entity: name, where, limit: 1 });
    const others = scans.filter((table) => table !== name);
    if (others.length > 0) found.push(warningOf(name, others));
  }
  return found;
}

function warningOf(entity: string, tables: readonly string[]): Diagnostic {
  const all = tables.join(", ");
  return {
    severity: "warning",
    code: "POLICY_NO_INDEX",
    message: `The read policy of ${entity} scans all rows of ${all}: it can't use an index.`,
    path: `entities.${tables[0] ?? entity}`,
    hint:
      `Declare an index on ${all} that begins with the fields compared in exists(). ` +
      `\`pylon explain ${entity} --as USER\` shows the statement.`,
  };
}
