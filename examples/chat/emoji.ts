/** The available reactions. The policy of `Reaction` accepts no other. */
export const EMOJI = ["👍", "❤️", "😂", "🎉", "👀"] as const;
