/**
 * What the server takes from the machine beyond its database: passed in, so that a test can turn
 * the clock.
 */
export interface Platform {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Fills the bytes with unpredictable values. */
  readonly random: (bytes: Uint8Array) => void;
}

export const systemPlatform: Platform = {
  now: Date.now,
  random: (bytes) => {
    crypto.getRandomValues(bytes);
  },
};
