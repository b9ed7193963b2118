import { fits, isFields, Mismatch, type Fields, type Shape } from "./shape.ts";

/** The timeout of a message, in milliseconds. */
const TIMEOUT_MS = 15_000;
/** The number of last messages that are shown if an expected one is missing. */
const SHOWN = 4;

/** The messages of a connection, in order, for checks that wait for one. */
export class Messages {
  readonly all: Fields[] = [];
  #ended: string | null = null;
  #wake: () => void = () => undefined;

  add(message: Fields): void {
    this.all.push(message);
    this.#wake();
  }

  addJson(text: string): void {
    const value: unknown = JSON.parse(text);
    this.add(isFields(value) ? value : { value });
  }

  end(why: string): void {
    this.#ended = why;
    this.#wake();
  }

  /**
   * The first message of this shape, whether it has already arrived or is still to come.
   * @throws Mismatch if none arrives in time, or the connection ends
   */
  async next(shape: Shape): Promise<Fields> {
    const deadline = Date.now() + TIMEOUT_MS;
    for (;;) {
      const found = this.all.find((message) => fits(message, shape));
      if (found !== undefined) return found;
      if (this.#ended !== null) throw new Mismatch(shape, `the end (${this.#ended})`);
      if (!(await this.#more(deadline - Date.now())))
        throw new Mismatch(shape, this.all.slice(-SHOWN));
    }
  }

  /** @returns the reason why the connection has ended @throws Mismatch if it stays open */
  async ended(): Promise<string> {
    const deadline = Date.now() + TIMEOUT_MS;
    while (this.#ended === null)
      if (!(await this.#more(deadline - Date.now()))) throw new Mismatch("the end", "nothing");
    return this.#ended;
  }

  /** Whether another message arrives within this time. */
  #more(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(0, withinMs));
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
