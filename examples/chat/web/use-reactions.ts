import { db } from "@pylonsync/react";
import { useMemo } from "react";
import type { Message, Reaction } from "../pylon.client.ts";

const HOUR = "0000-00-00T00".length;

/**
 * The reactions to the shown messages, by message. One query for all of them starts at the full
 * hour before the oldest message, so that it does not change when messages arrive.
 */
export function useReactions(
  channelId: string,
  messages: readonly Message[],
  upTo: string | null,
): ReadonlyMap<string, readonly Reaction[]> {
  const oldest = messages[0]?.createdAt ?? new Date().toISOString();
  const from = `${oldest.slice(0, HOUR)}:00:00.000Z`;
  const { data } = db.useQuery("Reaction", {
    where: { channelId, messageAt: { $gte: from, ...(upTo === null ? {} : { $lte: upTo }) } },
  });
  return useMemo(() => Map.groupBy(data, ({ messageId }) => messageId), [data]);
}
