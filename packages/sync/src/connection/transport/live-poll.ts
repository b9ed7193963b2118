import { isLivePoll } from "@pylonsync/protocol";
import { parseAnswer } from "../answer.ts";
import type { HttpClient } from "../http.ts";
import type { Platform } from "../../platform/platform.ts";
import { Outgoing } from "./outgoing.ts";
import {
  endReasonOf,
  HANDSHAKE_MS,
  type EndReason,
  type LiveConnection,
  type TextEvents,
} from "./transport.ts";

/**
 * The maximum duration of a long poll, in milliseconds: the server responds when there are changes.
 */
const ANSWER_MS = 30_000;

/**
 * Opens a connection of version 2 that polls for changes. A lost response ends it: its content is
 * sent again over the next connection, based on the client's cursors.
 */
export function openLivePolling(
  http: HttpClient,
  platform: Platform,
  events: TextEvents,
): LiveConnection {
  const abort = new AbortController();
  const { signal } = abort;
  let isEnded = false;
  const end = (why: EndReason | null): void => {
    if (isEnded) return;
    isEnded = true;
    cancelStart();
    abort.abort();
    outgoing.close();
    if (why !== null) events.onEnd(why);
  };
  const outgoing = new Outgoing(http, (error) => end(endReasonOf(error)));
  const ask = async (
    path: string,
    body: object,
    timeoutMs: number,
  ): Promise<string | undefined> => {
    const answer = await http.request("POST", path, body, {}, { signal, timeoutMs });
    const { id, messages } = parseAnswer(isLivePoll, answer);
    if (isEnded) return undefined;
    if (id !== undefined) {
      events.onOpen();
      outgoing.named(id);
    }
    for (const message of messages) {
      const why = isEnded ? undefined : events.onText(JSON.stringify(message));
      if (why !== undefined) end(why);
    }
    return id;
  };
  const run = async (): Promise<void> => {
    const opening = { transport: "poll", messages: outgoing.take() };
    const id = await ask("/api/live", opening, HANDSHAKE_MS);
    while (!isEnded) await ask(`/api/live/${id}`, { messages: [], wait: true }, ANSWER_MS);
  };
  // As with a socket, no events are emitted before the caller has received the connection.
  const cancelStart = platform.after(0, () => {
    run().catch((error: unknown) => end(endReasonOf(error)));
  });
  return { close: () => end(null), send: (text) => outgoing.send(text) };
}
