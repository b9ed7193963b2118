import { expect, test } from "bun:test";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { OneTimeCodes } from "./one-time-codes.ts";

const MINUTE_MS = 60_000;

/** Returns another code than this one. */
function wrongFor(code: string): string {
  return String((Number(code) + 1) % 1_000_000).padStart(6, "0");
}

test("a code of six digits returns its data once", async () => {
  await using scratch = scratchStore();
  const codes = new OneTimeCodes(scratch.store, scratch.platform);
  const code = await codes.issue("sign-in", "ann@example.com", "the data");
  expect(code).toMatch(/^\d{6}$/);
  expect(await codes.dataOf("sign-in", "ann@example.com")).toBe("the data");
  await expect(codes.take("change-email", "ann@example.com", code)).rejects.toThrow();
  expect(await codes.take("sign-in", "ann@example.com", ` ${code} `)).toBe("the data");
  await expect(codes.take("sign-in", "ann@example.com", code)).rejects.toMatchObject({
    code: "INVALID_CODE",
  });
  expect(await codes.dataOf("sign-in", "ann@example.com")).toBeNull();
});

test("of several concurrent uses of a code, one succeeds", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const replicas = [new OneTimeCodes(store, platform), new OneTimeCodes(store, platform)];
  const code = await new OneTimeCodes(store, platform).issue("sign-in", "ann");
  const taken = await Promise.allSettled(
    Array.from({ length: 5 }, (_, n) => replicas[n % 2]?.take("sign-in", "ann", code)),
  );
  expect(taken.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("a code expires after ten minutes, or five wrong attempts", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const codes = new OneTimeCodes(store, platform);
  const late = await codes.issue("sign-in", "late");
  const guessed = await codes.issue("sign-in", "guessed");
  for (let tries = 0; tries < 5; tries += 1)
    await expect(codes.take("sign-in", "guessed", wrongFor(guessed))).rejects.toMatchObject({
      code: "INVALID_CODE",
    });
  await expect(codes.take("sign-in", "guessed", guessed)).rejects.toMatchObject({
    code: "RATE_LIMITED",
  });
  advance(10 * MINUTE_MS);
  await expect(codes.take("sign-in", "late", late)).rejects.toMatchObject({ code: "INVALID_CODE" });
  expect(await codes.forgetExpired()).toBe(2);
});

test("the next code can be issued at once after the clock was set back", async () => {
  await using scratch = scratchStore();
  const codes = new OneTimeCodes(scratch.store, scratch.platform);
  await codes.issue("sign-in", "ann");
  scratch.setBack(60 * MINUTE_MS);
  const code = await codes.issue("sign-in", "ann");
  await expect(codes.issue("sign-in", "ann")).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect(await codes.take("sign-in", "ann", code)).toBe("");
});

test("the next code can be issued after a minute, and invalidates the one before", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const codes = new OneTimeCodes(store, platform);
  const first = await codes.issue("sign-in", "ann");
  advance(MINUTE_MS - 1);
  await expect(codes.issue("sign-in", "ann")).rejects.toMatchObject({
    code: "RATE_LIMITED",
    extra: { retry_after_secs: 1 },
  });
  advance(1);
  const second = await codes.issue("sign-in", "ann");
  if (first !== second)
    await expect(codes.take("sign-in", "ann", first)).rejects.toMatchObject({
      code: "INVALID_CODE",
    });
  expect(await codes.take("sign-in", "ann", second)).toBe("");
});

test("guesses are counted over all codes: twenty in three hours", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const codes = new OneTimeCodes(store, platform);
  let code = "";
  for (let guesses = 0; guesses < 20; guesses += 1) {
    if (guesses % 4 === 0) {
      advance(MINUTE_MS);
      code = await codes.issue("sign-in", "ann");
    }
    await expect(codes.take("sign-in", "ann", wrongFor(code))).rejects.toMatchObject({
      code: "INVALID_CODE",
    });
  }
  advance(MINUTE_MS);
  code = await codes.issue("sign-in", "ann");
  await expect(codes.take("sign-in", "ann", code)).rejects.toMatchObject({ code: "RATE_LIMITED" });
  advance(3 * 60 * MINUTE_MS);
  code = await codes.issue("sign-in", "ann");
  expect(await codes.take("sign-in", "ann", code)).toBe("");
});

test("all codes are equally likely: a biased value is drawn again", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const draws = [0xffff_ffff, 4_294_000_000, 4_293_999_999];
  const codes = new OneTimeCodes(store, {
    ...platform,
    random: (bytes) => new DataView(bytes.buffer).setUint32(0, draws.shift() ?? 0),
  });
  expect(await codes.issue("sign-in", "ann")).toBe("999999");
  expect(draws).toEqual([]);
  expect(await codes.issue("sign-in", "ben")).toBe("000000");
});
