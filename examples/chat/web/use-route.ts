import { useSyncExternalStore } from "react";

/** The contents of the URL's hash: `#/CHANNEL`, or `#/CHANNEL/MESSAGE` for a thread. */
export interface Route {
  readonly channelId: string | null;
  readonly threadId: string | null;
}

/** The URL of the list of channels, which a phone shows alone. */
export const HOME = "#/";

/** The URL of a channel, optionally with a thread. */
export function hrefOf(channelId: string, threadId?: string): string {
  return threadId === undefined ? `#/${channelId}` : `#/${channelId}/${threadId}`;
}

/** Shows a channel. */
export function openChannel(channelId: string): void {
  location.hash = hrefOf(channelId);
}

/** The current route; the browser's back button works. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(onHashChange, () => location.hash);
  const [, channelId = "", threadId = ""] = hash.split("/");
  return { channelId: channelId || null, threadId: threadId || null };
}

function onHashChange(notify: () => void): () => void {
  addEventListener("hashchange", notify);
  return () => removeEventListener("hashchange", notify);
}
