import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

/** A user who has chosen a name. */
const Pilot = entity("Pilot", {
  userId: field.string().owner().unique(),
  name: field.string(),
});

/** The best round of a pilot, in a mode: the leaderboard. */
const Score = entity(
  "Score",
  {
    userId: field.string().owner(),
    mode: field.string(),
    name: field.string(),
    gems: field.int(),
    roundId: field.id("Round"),
  },
  {
    indexes: [
      { name: "once", fields: ["userId", "mode"], unique: true },
      { name: "best", fields: ["mode", "gems"], unique: false },
    ],
  },
);

/** A finished round. */
const Round = entity(
  "Round",
  {
    /** From the shard and the round: a round is stored once, even if its job is retried. */
    key: field.string().unique(),
    /** The shard, and the step in which the round and its recording ended. */
    shardId: field.string(),
    tick: field.int(),
    mode: field.string(),
    winner: field.string(),
    gems: field.int(),
    pilots: field.int(),
    endedAt: field.datetime().default("now"),
  },
  { indexes: [{ name: "newest", fields: ["endedAt"], unique: false }] },
);

const everybodyReads = (name: string, entity: string) =>
  policy({ name, entity, allowRead: "auth.userId != null", allowWrite: "false" });

export default buildManifest({
  name: "arena",
  version: "0.1.0",
  entities: [Pilot, Score, Round],
  policies: [
    // Only functions write.
    everybodyReads("pilots", "Pilot"),
    everybodyReads("scores", "Score"),
    everybodyReads("rounds", "Round"),
  ],
});
