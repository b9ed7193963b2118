import { hasExists, type Expr } from "@pylonsync/query";
import type { Manifest } from "@pylonsync/sdk";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import { indexesOf } from "../schema/diff.ts";
import type { Diagnostic } from "../schema/diagnostic.ts";
import type { Store } from "../store/store.ts";
import type { DataModel } from "./model.ts";

/**
 * A typical caller: signed in, in a tenant, with no role. A condition with one of these values
 * compares a field with the caller.
 */
const SAMPLE_CALLER: Caller = { ...ANONYMOUS, userId: "sample user", tenantId: "sample tenant" };

/**
 * Returns a warning for each entity whose read policy scans all rows although an index would lead
 * to the matching ones: rows of another entity that it looks up by `exists`, or its own rows if it
 * compares a field with the caller. A list becomes slower with each row.
 *
 * @param at milliseconds since 1970
 */
export async function policyScans(
  store: Store,
  { schema, rules }: DataModel,
  { entities }: Pick<Manifest, "entities">,
  at: number,
): Promise<Diagnostic[]> {
  const firstFields = new Map(
    entities.map((entity) => [
      entity.name,
      new Set(["id", ...indexesOf(entity).flatMap(({ fields }) => fields.slice(0, 1))]),
    ]),
  );
  const found: Diagnostic[] = [];
  for (const { name } of schema.entities) {
    const where = rules.readable(name, SAMPLE_CALLER, new Date(at).toISOString());
    const others = hasExists(where) ? await otherScans(store, name, where) : [];
    const fields = withoutIndex(where, firstFields.get(name) ?? new Set());
    if (others.length > 0) found.push(warningOf(name, others));
    else if (fields !== undefined && fields.length > 0) found.push(ownWarning(name, fields));
  }
  return found;
}

async function otherScans(store: Store, entity: string, where: Expr): Promise<readonly string[]> {
  const { scans } = await store.explain({ entity, where, limit: 1 });
  return scans.filter((table) => table !== entity);
}

/**
 * The fields without an index among those by whose values each row that meets the condition is
 * found: fields that are compared with a property of the caller. The database's plan does not tell
 * this of the entity itself: it reads a table with few rows as a whole, whatever its indexes.
 *
 * @param indexed the fields with which an index begins
 * @returns undefined if rows may meet it otherwise
 */
function withoutIndex(expr: Expr, indexed: ReadonlySet<string>): readonly string[] | undefined {
  if (expr.kind === "and") {
    const items = expr.items.flatMap((item) => {
      const fields = withoutIndex(item, indexed);
      return fields === undefined ? [] : [fields];
    });
    return items.find((fields) => fields.length === 0) ?? items[0];
  }
  if (expr.kind === "or") {
    const items = expr.items.map((item) => withoutIndex(item, indexed));
    return items.every((item) => item !== undefined) ? items.flat() : undefined;
  }
  if (expr.kind !== "compare" || expr.op !== "==") return undefined;
  const sides = [expr.left, expr.right];
  const value = sides.find((side) => side.kind === "literal")?.value;
  const isOfCaller = value === SAMPLE_CALLER.userId || value === SAMPLE_CALLER.tenantId;
  const field = sides.find((side) => side.kind === "path" && side.root === "data");
  if (!isOfCaller || field?.kind !== "path") return undefined;
  return indexed.has(field.name) ? [] : [field.name];
}

function ownWarning(entity: string, fields: readonly string[]): Diagnostic {
  const [field = ""] = fields;
  return {
    severity: "warning",
    code: "POLICY_NO_INDEX",
    message:
      `The read policy of ${entity} scans all of its rows: ` +
      `${fields.join(" and ")} has no index.`,
    path: `entities.${entity}`,
    hint: `Add .index() to the field ${field}, or an index of ${entity} that begins with it.`,
  };
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
