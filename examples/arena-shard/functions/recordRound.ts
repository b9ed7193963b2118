import { internalMutation, v, type MutationCtx } from "@pylonsync/functions";

/** Of so many rounds there is a replay; older ones are deleted with theirs. */
const MAX_ROUNDS = 50;

/** Writes down how a round ended. The shard schedules it, so nobody else can make up a score. */
export default internalMutation({
  args: {
    shardId: v.string(),
    mode: v.string(),
    recording: v.object({
      seed: v.int(),
      steps: v.array(v.array(v.int())),
      checksum: v.int(),
    }),
    scores: v.array(v.object({ place: v.int(), userId: v.string(), gems: v.int() })),
  },
  async handler(ctx, { shardId, mode, recording, scores }) {
    const key = `${shardId}/${recording.seed}/${recording.checksum}`;
    // A job may run more than once.
    if ((await ctx.db.lookup("Round", "key", key)) !== null) return;
    const best = scores.toSorted((one, other) => other.gems - one.gems);
    const [first] = best;
    if (first === undefined) return;
    const roundId = await ctx.db.insert("Round", {
      key,
      mode,
      winner: await nameOf(ctx, first.userId),
      gems: first.gems,
      pilots: scores.length,
    });
    const pilots = await Promise.all(
      scores.map(async ({ place, userId }) => ({ place, name: await nameOf(ctx, userId) })),
    );
    await ctx.db.insert("Replay", { roundId, recording: { ...recording, pilots } });
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
  for (const { id } of old) {
    const replay = await ctx.db.lookup("Replay", "roundId", id);
    if (replay !== null) await ctx.db.delete("Replay", replay.id);
    await ctx.db.delete("Round", id);
  }
}
