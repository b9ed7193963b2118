import { pause } from "./pause.ts";

/** How fast rows are counted. */
export interface CountPace {
  /** The entities that are counted without a pause. */
  readonly burst: number;
  /** The pause before each of the others. */
  readonly pauseMs: number;
}

/** In production, all requests from an address share its rate limit. */
export const PACES = {
  dev: { burst: Number.POSITIVE_INFINITY, pauseMs: 0 },
  production: { burst: 20, pauseMs: 1_000 },
} as const satisfies Readonly<Record<string, CountPace>>;

/**
 * Counts the rows of entities one after another, so that an app with many does not load the
 * server. One that can't be counted does not prevent the others.
 *
 * @param onCount called with each number, and with an error in place of one
 */
export async function countEach(
  names: readonly string[],
  count: (name: string) => Promise<number>,
  onCount: (name: string, result: number | Error) => void,
  signal: AbortSignal,
  { burst, pauseMs }: CountPace,
): Promise<void> {
  for (const [index, name] of names.entries()) {
    if (index >= burst) await pause(pauseMs, signal);
    if (signal.aborted) return;
    const result = await count(name).catch((error: unknown) =>
      error instanceof Error ? error : new Error(String(error)),
    );
    if (signal.aborted) return;
    onCount(name, result);
  }
}
