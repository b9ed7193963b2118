import { expect, test } from "bun:test";
import { countEach, PACES } from "./counts.ts";

test("each entity is counted, one after another, also after one that can't be", async () => {
  let running = 0;
  const results: [string, number | string][] = [];
  await countEach(
    ["a", "slow", "b"],
    async (name) => {
      running += 1;
      expect(running).toBe(1);
      await Promise.resolve();
      running -= 1;
      if (name === "slow") throw new Error("It takes too long.");
      return name.charCodeAt(0);
    },
    (name, result) => results.push([name, result instanceof Error ? result.message : result]),
    new AbortController().signal,
    PACES.dev,
  );
  expect(results).toEqual([
    ["a", 97],
    ["slow", "It takes too long."],
    ["b", 98],
  ]);
});

test("an abort ends it, also during a pause", async () => {
  const abort = new AbortController();
  const counted: string[] = [];
  const done = countEach(
    ["a", "b", "c"],
    () => Promise.resolve(1),
    (name) => {
      counted.push(name);
      if (name === "b") abort.abort();
    },
    abort.signal,
    { burst: 2, pauseMs: 3_600_000 },
  );
  await done;
  expect(counted).toEqual(["a", "b"]);
});

test("in production, counting leaves most of the default rate limit to others", () => {
  const { burst, pauseMs } = PACES.production;
  expect(burst + 60_000 / pauseMs).toBeLessThan(100);
});
