// What the compiler must know about the entities of an app's plugins. Checked by `npm test`, never
// run.
import "./pylon.client.ts";
import type { MutationCtx } from "@pylonsync/functions";
import { db } from "@pylonsync/react";
import { isFlagOn } from "@pylonsync/sdk/plugins";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

export async function checkPluginEntities({ db: rows, auth }: MutationCtx): Promise<void> {
  for (const { operation, at } of await rows.query("AuditLog", { operation: "insert" }))
    same<[typeof operation, typeof at], ["insert" | "update" | "delete", string]>(true);
  const version = await rows.get("RowVersion", "1");
  same<(typeof version & {})["version"], number>(true);
  const flag = await rows.lookup("FeatureFlag", "name", "beta");
  if (flag !== null) isFlagOn(flag, auth);
  const noise = await rows.get("Noise", "1");
  // The app's timestamps are for its own entities.
  same<keyof (typeof noise & {}), "id" | "text" | "level">(true);
  const post = await rows.get("Post", "1");
  same<keyof (typeof post & {}), "id" | "title" | "createdAt" | "updatedAt">(true);
  await rows.insert("Noise", { text: "loud" });
  const typo = "StripeSubscriptions";
  // @ts-expect-error there is no such entity
  await rows.query(typo, {});
  // @ts-expect-error there is no such field
  await rows.query("StripeSubscription", { state: "active" });
}

export function useSubscription(): string | undefined {
  return (
    db.useQuery("StripeSubscription", { where: { status: "active" } }).data[0]?.priceId ?? undefined
  );
}
