import { expect, test } from "bun:test";
import { FairTurns } from "./fair-turns.ts";

/** Work of several callers, whose ends the test decides. */
class Bench {
  readonly turns = new FairTurns({ atOnce: 3, perCaller: 2 });
  readonly begun: string[] = [];
  readonly #ends = new Map<string, PromiseWithResolvers<void>>();

  add(name: string): Promise<void> {
    const end = Promise.withResolvers<void>();
    this.#ends.set(name, end);
    return this.turns.run(name.slice(0, 1), () => {
      this.begun.push(name);
      return end.promise;
    });
  }

  end(name: string, error?: Error): void {
    const end = this.#ends.get(name);
    if (error === undefined) end?.resolve();
    else end?.reject(error);
  }
}

test("a caller has so much work at once, and other callers do not wait for the rest", async () => {
  const bench = new Bench();
  const done = ["a1", "a2", "a3", "a4", "b1", "b2", "c1"].map((name) => bench.add(name));
  expect(bench.begun).toEqual(["a1", "a2", "b1"]);
  bench.end("b1");
  await done[4];
  await Promise.resolve();
  expect(bench.begun).toEqual(["a1", "a2", "b1", "b2"]);
  for (const name of ["a1", "b2", "a2", "a3", "a4", "c1"]) bench.end(name);
  await Promise.all(done);
  expect(bench.begun.slice(4).toSorted()).toEqual(["a3", "a4", "c1"]);
  expect(bench.begun.indexOf("c1")).toBeLessThan(bench.begun.indexOf("a4"));
});

test("work that fails gives its turn to the next", async () => {
  const bench = new Bench();
  const [first, , third] = ["a1", "a2", "a3"].map((name) => bench.add(name));
  bench.end("a1", new Error("lost"));
  await expect(first).rejects.toThrow("lost");
  bench.end("a3");
  await third;
  expect(bench.begun).toEqual(["a1", "a2", "a3"]);
});
