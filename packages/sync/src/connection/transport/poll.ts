import type { HttpClient } from "../http.ts";
import type { Platform } from "../../platform/platform.ts";
import { pullSince } from "../puller.ts";
import {
  endReasonOf,
  type Cursor,
  type EndReason,
  type LiveConnection,
  type TransportEvents,
} from "./transport.ts";

/** Polls repeatedly, for networks that block everything else. */
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
  // As with a socket, no events are emitted before the caller has received the connection.
  cancelTimer = platform.after(0, () => void poll());
  return { close: () => end(null) };
}
