/** A server's clock that only advances when it is told to. */
export interface StillClock {
  readonly platform: { readonly now: () => number; readonly random: (bytes: Uint8Array) => void };
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly later: (seconds: number) => void;
}

export function stillClock(): StillClock {
  let time = Date.parse("2026-03-01T12:00:00Z");
  const now = (): number => time;
  return {
    platform: { now, random: (bytes) => void crypto.getRandomValues(bytes) },
    now,
    later: (seconds) => void (time += seconds * 1000),
  };
}
