import { expect, test } from "bun:test";
import fc from "fast-check";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { OneTimeTokens, tokenPurpose } from "./one-time-tokens.ts";

const RESET = tokenPurpose<unknown>("reset");
const LINK = tokenPurpose<{ readonly to: string }>("link");

test("a token returns the data that it was issued with, and works once", async () => {
  await using scratch = scratchStore();
  const tokens = new OneTimeTokens(scratch.store, scratch.platform);
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ noUnicodeString: false }), async (data) => {
      const kept: unknown = JSON.parse(JSON.stringify(data));
      const token = await tokens.issue(RESET, data, 1000);
      expect(await tokens.peek(RESET, token)).toEqual(kept);
      expect(await tokens.take(RESET, token)).toEqual(kept);
      expect(await tokens.take(RESET, token)).toBeNull();
    }),
    { numRuns: 20 },
  );
});

test("of several concurrent uses of a token, one succeeds", async () => {
  await using scratch = scratchStore();
  const tokens = new OneTimeTokens(scratch.store, scratch.platform);
  const token = await tokens.issue(LINK, { to: "/" }, 1000);
  const taken = await Promise.all(Array.from({ length: 6 }, () => tokens.take(LINK, token)));
  expect(taken.filter((data) => data !== null)).toEqual([{ to: "/" }]);
});

test("a token is unknown for other purposes, and after it has expired", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const tokens = new OneTimeTokens(store, platform);
  const token = await tokens.issue(LINK, { to: "/" }, 1000);
  expect(await tokens.take(RESET, token)).toBeNull();
  expect(await tokens.take(LINK, `${token}x`)).toBeNull();
  advance(999);
  expect(await tokens.peek(LINK, token)).toEqual({ to: "/" });
  advance(1);
  expect(await tokens.take(LINK, token)).toBeNull();
  expect(await tokens.forgetExpired()).toBe(1);
});

test("the database does not contain the token", async () => {
  await using scratch = scratchStore();
  const tokens = new OneTimeTokens(scratch.store, scratch.platform);
  const token = await tokens.issue(LINK, { to: "/" }, 1000);
  const rows = await SYSTEM_TABLES.oneTimeTokens.select(scratch.store);
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows)).not.toContain(token);
});
