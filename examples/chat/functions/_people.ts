import type { MutationCtx } from "@pylonsync/functions";
import type { Person } from "../pylon.client.ts";

/** Returns the caller, who must have chosen a name. @throws UNAUTHENTICATED */
export async function requirePerson(ctx: MutationCtx): Promise<Person> {
  const userId = ctx.auth.userId ?? "";
  const [person] = await ctx.db.query("Person", { userId, $limit: 1 });
  if (person === undefined) throw ctx.error("UNAUTHENTICATED", "Choose a name first.");
  return person;
}

/** Adds a member; an existing member is kept. */
export async function addMember(
  ctx: MutationCtx,
  { userId, name }: Pick<Person, "userId" | "name">,
  channelId: string,
): Promise<void> {
  if ((await ctx.db.count("Member", { channelId, userId })) > 0) return;
  await ctx.db.insert("Member", { channelId, userId, name });
  await ctx.db.insert("ReadMark", { channelId, userId });
}
