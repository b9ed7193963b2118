import { db } from "@pylonsync/react";
import { useMemo, useState } from "react";
import type { Message } from "../pylon.client.ts";

/** The number of messages that are loaded at a time. */
export const PAGE = 50;
/** The maximum number of shown messages: further up, the newest are dropped. */
const MAX_SHOWN = 500;

/** The part of a channel that is shown: a number of messages up to a time, or up to the newest. */
interface Shown {
  readonly upTo: string | null;
  readonly limit: number;
}

const NEWEST: Shown = { upTo: null, limit: PAGE };

/** The shown messages of a channel. */
export interface Messages {
  /** Sorted from the oldest. */
  readonly messages: readonly Message[];
  /** Whether there are, or may be, earlier ones. */
  readonly hasEarlier: boolean;
  readonly isLoading: boolean;
  readonly upTo: string | null;
  readonly showEarlier: () => void;
  readonly showNewest: () => void;
}

/** The newest messages of a channel, and earlier ones on demand. */
export function useMessages(channelId: string): Messages {
  const [{ upTo, limit }, show] = useState(NEWEST);
  const { data, isComplete } = db.useQuery("Message", {
    where: { channelId, parentId: null, ...(upTo === null ? {} : { createdAt: { $lte: upTo } }) },
    orderBy: { createdAt: "desc" },
    limit,
  });
  // While earlier ones are loading, the replica may already hold some of them from a search: they
  // are hidden until there is no gap before them.
  const isWaiting = !isComplete && limit > PAGE;
  const messages = useMemo(
    () => data.slice(0, isWaiting ? limit - PAGE : limit).toSorted(byTime),
    [data, isWaiting, limit],
  );
  const showEarlier = (): void => {
    const oldest = messages[PAGE - 1]?.createdAt ?? null;
    show(
      limit < MAX_SHOWN || oldest === null
        ? { upTo, limit: limit + PAGE }
        : { upTo: oldest, limit: 2 * PAGE },
    );
  };
  return {
    messages,
    hasEarlier: !isComplete || data.length >= limit,
    isLoading: !isComplete,
    upTo,
    showEarlier,
    showNewest: () => show(NEWEST),
  };
}

/** Messages that are not sent yet have no time, and come last. Ids are sorted by time, too. */
export function byTime(one: Message, other: Message): number {
  return compare(one.createdAt ?? "~", other.createdAt ?? "~") || compare(one.id, other.id);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
