import { expect, test } from "bun:test";
import { systemPlatform, type Platform } from "../platform/platform.ts";
import { whenTyped } from "./typed-searches.ts";

/** A page whose time advances only by `pass`. */
class Page {
  readonly platform: Platform;
  /** What was started and stopped, such as "+a" and "-a". */
  readonly log: string[] = [];
  #now = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  constructor() {
    this.platform = {
      ...systemPlatform,
      now: () => this.#now,
      after: (ms, run) => {
        const timer = { at: this.#now + ms, run };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((one) => one !== timer);
        };
      },
    };
  }

  search(words: string): () => void {
    return whenTyped(this, words, () => {
      this.log.push(`+${words}`);
      return () => void this.log.push(`-${words}`);
    });
  }

  pass(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { run } of due) run();
  }
}

test("of a word that is typed, the first and the last search start", () => {
  const page = new Page();
  let stop = page.search("h");
  for (const words of ["he", "hel", "hell", "hello"]) {
    page.pass(100);
    stop();
    stop = page.search(words);
  }
  expect(page.log).toEqual(["+h", "-h"]);
  page.pass(249);
  expect(page.log).toEqual(["+h", "-h"]);
  page.pass(1);
  expect(page.log).toEqual(["+h", "-h", "+hello"]);
  stop();
  expect(page.log.at(-1)).toBe("-hello");
});

test("searches that follow each other slowly, or appear together, start at once", () => {
  const page = new Page();
  const stop = page.search("slow");
  page.pass(300);
  stop();
  page.search("next");
  page.search("beside");
  expect(page.log).toEqual(["+slow", "-slow", "+next", "+beside"]);
});

test("a search that is stopped and started again, as in React's strict mode, does not wait", () => {
  const page = new Page();
  page.search("a")();
  page.search("a");
  expect(page.log).toEqual(["+a", "-a", "+a"]);
});

test("a search that has not started yet never does once it is stopped", () => {
  const page = new Page();
  page.search("a")();
  page.search("ab")();
  page.pass(1_000);
  expect(page.log).toEqual(["+a", "-a"]);
});
