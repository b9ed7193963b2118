import { expect, test } from "bun:test";
import { TakeAhead } from "./take-ahead.ts";

const jobs = (...names: string[]) => names.map((name) => ({ name, args: "{}" }));

test("takes grow while all jobs are short and more are ready", () => {
  const ahead = new TakeAhead();
  ahead.took(jobs("write"), 1);
  expect(ahead.size).toBe(0);
  ahead.ran("write", 0.1);
  const sizes = Array.from({ length: 8 }, () => {
    ahead.took(jobs("write", "write"), 2);
    return ahead.size;
  });
  expect(sizes).toEqual([8, 16, 32, 64, 128, 256, 512, 1_000]);
  // Fewer were ready than could be taken: that does not make the next take smaller.
  ahead.took(jobs("write"), 2);
  expect(ahead.size).toBe(1_000);
  // At most a quarter of a second of work.
  ahead.ran("count", 10);
  ahead.took(jobs("write", "count"), 2);
  expect(ahead.size).toBe(25);
});

test("large arguments limit a take, because they are all in memory", () => {
  const ahead = new TakeAhead();
  ahead.ran("write", 0.1);
  for (let take = 0; take < 8; take += 1)
    ahead.took([{ name: "write", args: "x".repeat(256 * 1024) }], 1);
  expect(ahead.size).toBe(64);
});

test("one job that may be long ends it", () => {
  const ahead = new TakeAhead();
  ahead.ran("write", 3);
  ahead.took(jobs("write"), 1);
  expect(ahead.size).toBe(8);
  ahead.took(jobs("write", "import"), 2);
  expect(ahead.size).toBe(0);
  ahead.ran("write", 1_000);
  ahead.took(jobs("write"), 1);
  expect(ahead.size).toBe(0);
});
