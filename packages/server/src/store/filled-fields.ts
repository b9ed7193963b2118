import type { Expr } from "@pylonsync/query";
import type { Manifest } from "@pylonsync/sdk";
import { tightenedFields } from "../schema/diff.ts";
import type { StoredManifest } from "../schema/stored-manifest.ts";
import type { Store } from "./store.ts";

/**
 * Of the optional fields that are to be required, those that have a value in every row, as
 * `Entity.field`. A version of an app that is rolled back meets such fields, and most often no row
 * without a value.
 */
export async function filledFields(
  store: Pick<Store, "count" | "storedManifest">,
  to: Pick<Manifest, "entities">,
): Promise<ReadonlySet<string>> {
  const stored = await store.storedManifest();
  const filled = new Set<string>();
  for (const { entity, field } of stored === null
    ? []
    : tightenedFields(JSON.parse(stored) as StoredManifest, to)) {
    if ((await store.count(entity, isEmpty(field))) === 0) filled.add(`${entity}.${field}`);
  }
  return filled;
}

function isEmpty(field: string): Expr {
  return {
    kind: "compare",
    op: "==",
    left: { kind: "path", root: "data", name: field },
    right: { kind: "literal", value: null },
  };
}
