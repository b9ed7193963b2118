import { pause } from "./pause.ts";

/** Limits of following a stream. */
export interface FollowTimes {
  /** Lines that arrive within this time are handed over together. */
  readonly batchMs: number;
  /** The pause before a stream that has ended is followed again. */
  readonly retryMs: number;
}

/** The times for a page. */
export const PAGE_TIMES: FollowTimes = { batchMs: 200, retryMs: 2_000 };

/** The lines that wait to be handed over; earlier ones are dropped. */
const MAX_WAITING = 1_000;

/** The receiver of a stream that is followed. */
export interface Follower {
  /** Called before each attempt. */
  readonly onStart: () => void;
  readonly onLines: (lines: readonly string[]) => void;
  /** Called when an attempt has failed, and with null when lines arrive again. */
  readonly onError: (error: Error | null) => void;
}

/**
 * Follows a stream of lines until the signal aborts, again and again: a server may restart.
 *
 * @param open reads the stream until it ends, and calls back for each line
 */
export async function followLines(
  open: (onLine: (line: string) => void) => Promise<void>,
  { onStart, onLines, onError }: Follower,
  signal: AbortSignal,
  { batchMs, retryMs }: FollowTimes = PAGE_TIMES,
): Promise<void> {
  let waiting: string[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = (): void => {
    timer = undefined;
    if (signal.aborted) return;
    onError(null);
    onLines(waiting.slice(-MAX_WAITING));
    waiting = [];
  };
  const add = (line: string): void => {
    waiting.push(line);
    if (waiting.length > 2 * MAX_WAITING) waiting = waiting.slice(-MAX_WAITING);
    timer ??= setTimeout(flush, batchMs);
  };
  while (!signal.aborted) {
    onStart();
    try {
      await open(add);
    } catch (error) {
      if (!signal.aborted) onError(error instanceof Error ? error : new Error(String(error)));
    }
    await pause(retryMs, signal);
  }
  clearTimeout(timer);
}
