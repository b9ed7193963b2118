import { expect, test } from "bun:test";
import { TakeAhead } from "./take-ahead.ts";

test("more is taken ahead while all that was taken is short and there is more", () => {
  const ahead = new TakeAhead();
  ahead.took(["write"], 1);
  expect(ahead.size).toBe(0);
  ahead.ran("write", 0.5);
  const sizes = Array.from({ length: 6 }, () => {
    ahead.took(["write", "write"], 2);
    return ahead.size;
  });
  expect(sizes).toEqual([8, 16, 32, 64, 128, 200]);
  // Fewer than there was room for: there is no more, and no reason to take less either.
  ahead.took(["write"], 2);
  expect(ahead.size).toBe(200);
  // No more than a quarter of a second of work.
  ahead.ran("count", 10);
  ahead.took(["write", "count"], 2);
  expect(ahead.size).toBe(25);
});

test("one job that may be long ends it", () => {
  const ahead = new TakeAhead();
  ahead.ran("write", 3);
  ahead.took(["write"], 1);
  ahead.took(["write", "import"], 2);
  expect(ahead.size).toBe(0);
  ahead.ran("write", 1_000);
  ahead.took(["write"], 1);
  expect(ahead.size).toBe(0);
});
