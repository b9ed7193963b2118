/** Scheduled work. */
export interface Timer {
  /** Cancels the work, or its repetition. Does nothing if it is already over. */
  cancel(): void;
  /** Lets the process end while the timer waits. @returns the timer itself */
  unref(): Timer;
}

/**
 * What the server uses of the machine besides its database. It is passed in, so that a test can
 * control the clock, and a simulation can run the server on its own clock and random values.
 * Nothing else in the server reads a clock, sets a timer or generates a random value.
 */
export interface Platform {
  /** Milliseconds since 1970; may jump when the machine's clock is set. */
  readonly now: () => number;
  /** Milliseconds since an arbitrary start, with fractions; never goes back. For measuring time. */
  readonly monotonic: () => number;
  /** Runs the work once, in `ms` milliseconds. */
  readonly after: (ms: number, work: () => void) => Timer;
  /** Runs the work every `ms` milliseconds, the first time after `ms`. */
  readonly every: (ms: number, work: () => void) => Timer;
  /** Runs the work once the current turn of the event loop is done. */
  readonly soon: (work: () => void) => void;
  /** A random UUID (version 4), from unpredictable values. */
  readonly uuid: () => string;
  /** Fills the bytes with unpredictable values. */
  readonly random: (bytes: Uint8Array) => void;
}

/** The machine's own clock, timers and random values. */
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

/** Resolves in `ms` milliseconds. */
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
