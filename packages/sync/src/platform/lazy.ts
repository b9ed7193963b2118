import { inLoadTime } from "./load-code.ts";
import type { Platform } from "./platform.ts";

/** A part of an engine whose code is loaded on first use. */
export class Lazy<T> {
  readonly #platform: Pick<Platform, "after" | "warn">;
  readonly #make: () => Promise<T>;
  #loading: Promise<T> | null = null;
  #part: T | null = null;
  readonly #waiting: ((part: T) => void)[] = [];
  readonly #onTry: (isLoaded: boolean) => void;

  /**
   * @param platform is told the errors of work that waited for it
   * @param make loads the code, and creates the part
   * @param onTry called with whether the code could be loaded, at each attempt
   */
  constructor(
    platform: Pick<Platform, "after" | "warn">,
    make: () => Promise<T>,
    onTry: (isLoaded: boolean) => void = () => undefined,
  ) {
    this.#platform = platform;
    this.#make = make;
    this.#onTry = onTry;
  }

  /** Null before it is loaded. */
  get part(): T | null {
    return this.#part;
  }

  /**
   * Loads it once; retries after a failure.
   *
   * @throws Error if the code can't be loaded now. If that takes too long, it can still arrive.
   */
  load(): Promise<T> {
    this.#loading ??= this.#make().then(
      (part) => this.#begin(part),
      (error: unknown) => {
        this.#loading = null;
        this.#onTry(false);
        throw error;
      },
    );
    return this.#part === null ? inLoadTime(this.#platform, this.#loading) : this.#loading;
  }

  /** Runs the work with the part, now or once it is loaded. */
  use(work: (part: T) => void): void {
    if (this.#part === null) this.#waiting.push(work);
    else work(this.#part);
  }

  /**
   * Begins the work with the part, now or once it is loaded, unless it is stopped before.
   *
   * @param begin @returns a function that stops it
   */
  during(begin: (part: T) => () => void): () => void {
    let isStopped = false;
    let stop = (): void => {
      isStopped = true;
    };
    this.use((part) => {
      if (!isStopped) stop = begin(part);
    });
    return () => stop();
  }

  #begin(part: T): T {
    this.#part = part;
    this.#onTry(true);
    for (const work of this.#waiting.splice(0))
      try {
        work(part);
      } catch (error) {
        // Its caller has returned: an error must neither affect other work nor the part.
        this.#platform.warn(String(error));
      }
    return part;
  }
}
