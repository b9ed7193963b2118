import { useCallback, useEffect, useRef } from "react";

/** The presence that a reader of a note sends to the others. */
export interface Presence {
  readonly isWriting: boolean;
}

/** The time after the last key for which a user counts as writing, in milliseconds. */
const WRITING_MS = 3000;

/**
 * Sends one presence to the room when the user starts to write, and one when they have stopped.
 *
 * @returns a function to call for each key
 */
export function useWriting(setPresence: (data: Presence) => Promise<void>): () => void {
  const stop = useRef<ReturnType<typeof setTimeout> | null>(null);
  const send = useCallback(
    (isWriting: boolean) => {
      // Without a connection the others are not notified, which is acceptable.
      setPresence({ isWriting }).catch(() => undefined);
    },
    [setPresence],
  );
  useEffect(
    () => () => {
      if (stop.current !== null) clearTimeout(stop.current);
    },
    [],
  );
  return useCallback(() => {
    if (stop.current === null) send(true);
    else clearTimeout(stop.current);
    stop.current = setTimeout(() => {
      stop.current = null;
      send(false);
    }, WRITING_MS);
  }, [send]);
}

/** Whether the presence of a member of the room says that they are writing. */
export function isWriting({ data }: { readonly data?: unknown }): boolean {
  return (
    typeof data === "object" && data !== null && "isWriting" in data && data.isWriting === true
  );
}
