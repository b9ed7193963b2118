import type { Platform } from "../../packages/server/src/platform.ts";

/** A server's clock that only advances when it is told to. */
export interface StillClock {
  readonly platform: Pick<Platform, "now" | "monotonic" | "random">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly later: (seconds: number) => void;
}

export function stillClock(): StillClock {
  const start = Date.parse("2026-03-01T12:00:00Z");
  let time = start;
  const now = (): number => time;
  return {
    platform: {
      now,
      // It also passes on its own, for timeouts.
      monotonic: () => performance.now() + time - start,
      random: (bytes) => void crypto.getRandomValues(bytes),
    },
    now,
    later: (seconds) => void (time += seconds * 1000),
  };
}
