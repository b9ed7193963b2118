import { type Expr, nodesOf, pathsOf } from "@pylonsync/query";
import type { Diagnostic } from "../schema/diagnostic.ts";

/** The conditions of an entity's updates, and of its fields that have some. */
export interface UpdateConditions {
  readonly entity: string;
  /** The conditions of an update, and of an update of single fields. */
  readonly updates: readonly Expr[];
  /** The condition for reading each field that has one. */
  readonly read: ReadonlyMap<string, Expr>;
  /** The condition for updating each field that has one. */
  readonly update: ReadonlyMap<string, Expr>;
}

/**
 * Warns about updates that reveal a field to callers who may not read it: if its value before the
 * update is compared with one that the caller writes, whether the update is rejected tells them
 * whether they are equal, or which is greater.
 */
export function* revealedFields({
  entity,
  updates,
  read,
  update,
}: UpdateConditions): Generator<Diagnostic> {
  const found = new Set<string>();
  for (const expr of updates)
    for (const node of nodesOf(expr)) {
      if (!isComparison(node)) continue;
      const written = [...pathsOf(node, "data")].filter((name) => name !== "id");
      for (const name of pathsOf(node, "old")) {
        const rule = read.get(name);
        if (rule === undefined || found.has(name)) continue;
        if (written.every((other) => isSame(update.get(other), rule))) continue;
        found.add(name);
        yield revealed(entity, name);
      }
    }
}

function isComparison({ kind }: Expr): boolean {
  return kind !== "and" && kind !== "or" && kind !== "not" && kind !== "exists";
}

/** Whether those who may write the one field are those who may read the other. */
function isSame(write: Expr | undefined, read: Expr): boolean {
  return write !== undefined && JSON.stringify(write) === JSON.stringify(read);
}

function revealed(entity: string, field: string): Diagnostic {
  return {
    severity: "warning",
    code: "POLICY_REVEALS_FIELD",
    message:
      `The update policy of ${entity} compares old.${field} with a value that the caller writes. ` +
      `Callers who may not read ${field} can find out its value by trying.`,
    path: `entities.${entity}`,
    hint:
      "Restrict writing the field to those who may read it, with allow instead of allowRead in " +
      "the fields of the policy, or remove the comparison.",
  };
}
