import { expect, test } from "bun:test";
import { ANONYMOUS_IDENTITY } from "../../identity/identity.ts";
import { ManualPlatform } from "../../testing/manual-platform.ts";
import { IdentityCache } from "./identity-cache.ts";

test("expired identities are dropped when others are added, and in between", () => {
  const platform = new ManualPlatform();
  const cache = new IdentityCache(platform);
  const add = (key: string): void => cache.set(key, ANONYMOUS_IDENTITY, platform.monotonic() + 500);
  for (let count = 0; count < 1000; count += 1) add(`${count}`);
  platform.advance(400);
  add("0");
  expect(cache.size).toBe(1000);
  platform.advance(200);
  expect(cache.get("1")).toBeUndefined();
  expect(cache.get("0")).toBe(ANONYMOUS_IDENTITY);
  add("new");
  expect(cache.size).toBe(2);
  platform.advance(500);
  cache.forgetExpired();
  expect(cache.size).toBe(0);
});
