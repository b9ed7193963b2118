import { expect, test } from "bun:test";
import { followLines, type Follower } from "./follow.ts";

const TIMES = { batchMs: 1, retryMs: 1 };

interface Attempt {
  readonly line: (text: string) => void;
  readonly end: (error?: Error) => void;
}

/** A stream whose lines and ends a test decides. */
class Stream {
  readonly abort = new AbortController();
  readonly lines: (readonly string[])[] = [];
  readonly errors: (string | null)[] = [];
  readonly done: Promise<void>;
  starts = 0;
  #attempt: PromiseWithResolvers<Attempt> = Promise.withResolvers();
  #handedOver: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor() {
    const follower: Follower = {
      onStart: () => (this.starts += 1),
      onLines: (lines) => {
        this.lines.push(lines);
        this.#handedOver.resolve();
        this.#handedOver = Promise.withResolvers();
      },
      onError: (error) => this.errors.push(error === null ? null : error.message),
    };
    this.done = followLines(
      (line) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        this.abort.signal.addEventListener("abort", () => reject(new Error("aborted")));
        const end = (error?: Error): void => (error === undefined ? resolve() : reject(error));
        this.#attempt.resolve({ line, end });
        return promise;
      },
      follower,
      this.abort.signal,
      TIMES,
    );
  }

  /** The next attempt to read the stream. */
  async attempt(): Promise<Attempt> {
    const attempt = await this.#attempt.promise;
    this.#attempt = Promise.withResolvers();
    return attempt;
  }

  handedOver(): Promise<void> {
    return this.#handedOver.promise;
  }
}

test("lines are handed over together, and only the newest of many", async () => {
  const stream = new Stream();
  const { line } = await stream.attempt();
  const handedOver = stream.handedOver();
  for (let n = 0; n < 10_000; n += 1) line(`line ${n}`);
  await handedOver;
  expect(stream.lines).toHaveLength(1);
  expect([stream.lines[0]?.length, stream.lines[0]?.at(-1)]).toEqual([1_000, "line 9999"]);
  stream.abort.abort();
  await stream.done;
});

test("a stream that has ended or failed is followed again", async () => {
  const stream = new Stream();
  (await stream.attempt()).end();
  (await stream.attempt()).end(new Error("The server is away."));
  const { line } = await stream.attempt();
  expect([stream.starts, stream.errors]).toEqual([3, ["The server is away."]]);
  const handedOver = stream.handedOver();
  line("back");
  await handedOver;
  expect(stream.lines).toEqual([["back"]]);
  expect(stream.errors.at(-1)).toBeNull();
  stream.abort.abort();
  await stream.done;
});

test("an abort ends it, without an error and without the lines that wait", async () => {
  const stream = new Stream();
  const { line } = await stream.attempt();
  line("late");
  stream.abort.abort();
  await stream.done;
  expect([stream.starts, stream.lines, stream.errors]).toEqual([1, [], []]);
});
