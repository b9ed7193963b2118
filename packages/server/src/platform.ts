/** Work that will be done later. */
export interface Timer {
  /** The work is not done, or not done again. Does nothing when it is over. */
  cancel(): void;
  /** Lets the process end while the timer waits. @returns the timer itself */
  unref(): Timer;
}

/**
 * What the server takes from the machine beyond its database: passed in, so that a test can turn
 * the clock, and a simulation can run the server on a clock and a chance of its own. Nothing else
 * in the server reads a clock, sets a timer or draws a random value.
 */
export interface Platform {
  /** Milliseconds since 1970; may jump when the machine's clock is set. */
  readonly now: () => number;
  /** Milliseconds since some moment, with fractions; never goes back. For measuring time. */
  readonly monotonic: () => number;
  /** Does the work once, in `ms` milliseconds. */
  readonly after: (ms: number, work: () => void) => Timer;
  /** Does the work every `ms` milliseconds, the first time after as many. */
  readonly every: (ms: number, work: () => void) => Timer;
  /** Does the work once what the event loop has at hand is done. */
  readonly soon: (work: () => void) => void;
  /** A random UUID (version 4), from unpredictable values. */
  readonly uuid: () => string;
  /** Fills the bytes with unpredictable values. */
  readonly random: (bytes: Uint8Array) => void;
}

/** The machine's own clock, timers and chance. */
export const systemPlatform: Platform = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, work) => timerOf(setTimeout(work, ms), clearTimeout),
  every: (ms, work) => timerOf(setInterval(work, ms), clearInterval),
  soon: (work) => {
    setImmediate(work);
  },
  uuid: () => crypto.randomUUID(),
  random: (bytes) => {
    crypto.getRandomValues(bytes);
  },
};

/** Answers in `ms` milliseconds. */
export function sleep({ after }: Pick<Platform, "after">, ms: number): Promise<void> {
  return new Promise((resolve) => {
    after(ms, resolve);
  });
}

/** A random number of at least 0 and less than 1, in 2^32 steps. */
export function randomFraction({ random }: Pick<Platform, "random">): number {
  const words = new Uint32Array(1);
  random(new Uint8Array(words.buffer));
  return (words[0] ?? 0) / 2 ** 32;
}

function timerOf<T extends { unref(): unknown }>(handle: T, clear: (handle: T) => void): Timer {
  const timer: Timer = {
    cancel: () => {
      clear(handle);
    },
    unref: () => {
      handle.unref();
      return timer;
    },
  };
  return timer;
}
