/** The reactions that there are. The policy of `Reaction` takes no other. */
export const EMOJI = ["👍", "❤️", "😂", "🎉", "👀"] as const;
