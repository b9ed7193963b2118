import { internalMutation, v, type MutationCtx } from "@pylonsync/functions";

/** The number of rounds that are listed; older ones are deleted. */
const MAX_ROUNDS = 50;

/** Stores the result of a round. The shard schedules it, so a client cannot forge a score. */
export default internalMutation({
  args: {
    shardId: v.string(),
    tick: v.int(),
    mode: v.string(),
    seed: v.int(),
    scores: v.array(v.object({ userId: v.string(), gems: v.int() })),
  },
  async handler(ctx, { shardId, tick, mode, seed, scores }) {
    const key = `${shardId}/${seed}/${tick}`;
    // A job may run more than once.
    if ((await ctx.db.lookup("Round", "key", key)) !== null) return;
    const best = scores.toSorted((one, other) => other.gems - one.gems);
    const [first] = best;
    if (first === undefined) return;
    const roundId = await ctx.db.insert("Round", {
      key,
      shardId,
      tick,
      mode,
      winner: await nameOf(ctx, first.userId),
      gems: first.gems,
      pilots: scores.length,
    });
    for (const { userId, gems } of best) await keepBest(ctx, { userId, mode, gems, roundId });
    await deleteOldRounds(ctx);
  },
});

async function keepBest(
  ctx: MutationCtx,
  { userId, mode, gems, roundId }: Record<"userId" | "mode" | "roundId", string> & { gems: number },
): Promise<void> {
  const [score] = await ctx.db.query("Score", { userId, mode, $limit: 1 });
  const name = await nameOf(ctx, userId);
  if (score === undefined) await ctx.db.insert("Score", { userId, mode, name, gems, roundId });
  else if (gems > score.gems) await ctx.db.update("Score", score.id, { name, gems, roundId });
}

async function nameOf(ctx: MutationCtx, userId: string): Promise<string> {
  return (await ctx.db.lookup("Pilot", "userId", userId))?.name ?? "Somebody";
}

async function deleteOldRounds(ctx: MutationCtx): Promise<void> {
  const old = await ctx.db.query("Round", {
    $order: { endedAt: "desc" },
    $offset: MAX_ROUNDS,
    $limit: 10,
  });
  for (const { id } of old) await ctx.db.delete("Round", id);
}
