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
  /** Runs the work every `ms` milliseconds, the first time after `ms` or later. */
  readonly every: (ms: number, work: () => void) => Timer;
  /** Runs the work once the current turn of the event loop is done. */
  readonly soon: (work: () => void) => void;
  /** A random UUID (version 4), from unpredictable values. */
  readonly uuid: () => string;
  /** Fills the bytes with unpredictable values. */
  readonly random: (bytes: Uint8Array) => void;
}

/** Work that is done repeatedly. */
interface Repeated {
  readonly work: () => void;
  /** The number of beats from one time to the next. */
  readonly beats: number;
  /** The beat before which it is not done. */
  readonly from: number;
  /** Whether it keeps the process alive. */
  isKept: boolean;
}

/**
 * One interval for all work that is done about once a second. To wake an idle process costs more
 * than most of this work, so it is done in as few turns of the event loop as possible.
 *
 * @example
 *   const interval = new SharedInterval(250);
 *   interval.every(1_000, () => sweep()).unref();
 */
export class SharedInterval {
  readonly #beatMs: number;
  readonly #failed: (error: unknown) => void;
  readonly #all = new Set<Repeated>();
  #beat = 0;
  #handle: ReturnType<typeof setInterval> | null = null;

  /**
   * @param beatMs the shortest interval; others are multiples of it
   * @param failed called with the errors of work
   */
  constructor(beatMs: number, failed: (error: unknown) => void = throwSoon) {
    this.#beatMs = beatMs;
    this.#failed = failed;
  }

  /** Whether it can do work in these intervals. */
  has(ms: number): boolean {
    return ms > 0 && ms % this.#beatMs === 0;
  }

  /**
   * Does the work every `ms` milliseconds, together with other work. The first time is after `ms`
   * to 2 * `ms` milliseconds.
   */
  every(ms: number, work: () => void): { cancel(): void; unref(): void } {
    const beats = ms / this.#beatMs;
    // The current beat may end at any moment, and does not count.
    const from = this.#beat + 1 + beats;
    const repeated: Repeated = { work, beats, from, isKept: true };
    this.#all.add(repeated);
    this.#handle ??= setInterval(() => this.#onBeat(), this.#beatMs);
    this.#adjust();
    return {
      cancel: () => {
        this.#all.delete(repeated);
        this.#adjust();
      },
      unref: () => {
        repeated.isKept = false;
        this.#adjust();
      },
    };
  }

  #onBeat(): void {
    this.#beat += 1;
    for (const repeated of this.#all)
      if (this.#beat % repeated.beats === 0 && this.#beat >= repeated.from) this.#do(repeated);
  }

  /** An error does not stop the other work. */
  #do({ work }: Repeated): void {
    try {
      work();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Ends the interval without work, and lets the process end if no work keeps it alive. */
  #adjust(): void {
    if (this.#handle === null) return;
    if (this.#all.size === 0) {
      clearInterval(this.#handle);
      this.#handle = null;
    } else if ([...this.#all].some(({ isKept }) => isKept)) this.#handle.ref();
    else this.#handle.unref();
  }
}

/** Throws an error as the callback of a timer would. */
function throwSoon(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

/** The shortest interval of the work that the server does periodically, in milliseconds. */
const BEAT_MS = 250;
/** Longer intervals have timers of their own: they cost nothing, and their first time is exact. */
const LONGEST_SHARED_MS = 1_000;
const beat = new SharedInterval(BEAT_MS);

/** The machine's own clock, timers and random values. */
export const systemPlatform: Platform = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, work) => timerOf(setTimeout(work, ms), clearTimeout),
  every: (ms, work) => {
    if (ms > LONGEST_SHARED_MS || !beat.has(ms))
      return timerOf(setInterval(work, ms), clearInterval);
    const repeated = beat.every(ms, work);
    return timerOf(repeated, repeated.cancel);
  },
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
