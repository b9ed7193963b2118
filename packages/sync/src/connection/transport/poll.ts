import type { HttpClient } from "../http.ts";
import type { Platform } from "../../platform/platform.ts";
import { pullSince } from "../puller.ts";
import { endReasonOf } from "../tabs.ts";
import type { Cursor, EndReason, LiveConnection, TransportEvents } from "./transport.ts";

/** Asks again and again. For networks that let nothing else through. */
export function openPolling(
  cursor: () => Cursor,
  http: HttpClient,
  platform: Platform,
  intervalMs: number,
  events: TransportEvents,
): LiveConnection {
  let isEnded = false;
  let isOpen = false;
  let cancelTimer: () => void = () => undefined;

  const end = (why: EndReason | null): void => {
    if (isEnded) return;
    isEnded = true;
    cancelTimer();
    if (why !== null) events.onEnd(why);
  };
  const poll = async (): Promise<void> => {
    try {
      for (let hasMore = true; hasMore && !isEnded;) {
        const { seq, epoch } = cursor();
        const answer = await pullSince(http, seq, epoch);
        if (isEnded) return;
        if (!isOpen) events.onOpen();
        isOpen = true;
        events.onChanges(answer.changes);
        events.onHello({ seq: answer.cursor.last_seq, epoch: answer.epoch ?? epoch ?? "" });
        hasMore = answer.has_more;
      }
      cancelTimer = platform.after(intervalMs, () => void poll());
    } catch (error) {
      end(endReasonOf(error));
    }
  };
  // As with a socket, nothing is told before the caller holds the connection.
  cancelTimer = platform.after(0, () => void poll());
  return { close: () => end(null) };
}
