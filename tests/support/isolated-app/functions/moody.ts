import { appendFileSync } from "node:fs";
import { query, v } from "@pylonsync/functions";

/** Returns its number at once, or harms the process that runs it. Each run writes a line. */
export default query({
  args: {
    id: v.int(),
    mood: v.union(
      v.literal("quick"),
      v.literal("loops"),
      v.literal("exits"),
      v.literal("allocates"),
    ),
    file: v.string(),
  },
  isolate: true,
  handler: (_ctx, { id, mood, file }) => {
    appendFileSync(file, `${id}\n`);
    if (mood === "exits") process.exit(3);
    const allocated: Uint8Array[] = [];
    while (mood === "allocates") allocated.push(new Uint8Array(1024 * 1024).fill(1));
    while (mood === "loops");
    return id;
  },
});
