import { useCallback, useEffect, useRef } from "react";

/** What a member of the room tells the others. */
export interface Presence {
  readonly isTyping: boolean;
}

/** How long after the last key somebody still counts as typing, in milliseconds. */
const TYPING_MS = 3000;

/**
 * Tells the room when the user types, once, and once when they have stopped.
 *
 * @returns called with each key, and with false when the message was sent
 */
export function useTyping(
  setPresence: (data: Presence) => Promise<void>,
): (isTyping: boolean) => void {
  const stop = useRef<ReturnType<typeof setTimeout> | null>(null);
  const tell = useCallback(
    (isTyping: boolean) => {
      const wasTyping = stop.current !== null;
      if (stop.current !== null) clearTimeout(stop.current);
      stop.current = isTyping ? setTimeout(() => tell(false), TYPING_MS) : null;
      // Without a connection nobody is told, and nobody needs to be.
      if (isTyping !== wasTyping) setPresence({ isTyping }).catch(() => undefined);
    },
    [setPresence],
  );
  useEffect(
    () => () => {
      if (stop.current !== null) clearTimeout(stop.current);
    },
    [],
  );
  return tell;
}

/** Whether a member of the room says that they are typing. */
export function isTyping({ data }: { readonly data?: unknown }): boolean {
  return typeof data === "object" && data !== null && "isTyping" in data && data.isTyping === true;
}
