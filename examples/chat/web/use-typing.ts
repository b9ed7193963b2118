import { useCallback, useEffect, useRef } from "react";

/** The presence that a member of the room sends to the others. */
export interface Presence {
  readonly isTyping: boolean;
}

/** The time after the last key for which a user counts as typing, in milliseconds. */
const TYPING_MS = 3000;

/**
 * Sends one presence to the room when the user starts to type, and one when they have stopped.
 *
 * @returns a function to call with true for each key, and with false when the message was sent
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
      // Without a connection the others are not notified, which is acceptable.
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

/** Whether the presence of a member of the room says that they are typing. */
export function isTyping({ data }: { readonly data?: unknown }): boolean {
  return typeof data === "object" && data !== null && "isTyping" in data && data.isTyping === true;
}
