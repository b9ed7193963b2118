import { expect, test } from "bun:test";
import { redisUrlOf } from "./redis-url.ts";

test("the plugin's URL is used, left to the environment, or rejected without being shown", () => {
  expect(redisUrlOf(undefined)).toBeNull();
  expect(redisUrlOf({})).toBeNull();
  expect(redisUrlOf({ url: "rediss://user:p%40ss@cache:6380/1" })).toBe(
    "rediss://user:p%40ss@cache:6380/1",
  );
  for (const url of ["http://canary@cache", "canary", "", 7]) {
    expect(() => redisUrlOf({ url })).toThrow(/cache_client is invalid: expected redis:/);
    expect(() => redisUrlOf({ url })).not.toThrow(/canary/);
  }
});
