import { expect, test } from "bun:test";
import { scratchStore, type Scratch } from "../../store/testing/scratch-store.ts";
import { OneTimeCodes } from "../security/one-time-codes.ts";
import { PendingSignUps } from "./pending-sign-ups.ts";

const EMAIL = "ann@example.com";

/**
 * Uses the passwords themselves as hashes: these tests are about which sign-up a code completes.
 */
function open({ store, platform }: Scratch): PendingSignUps {
  return new PendingSignUps(store, platform, new OneTimeCodes(store, platform), {
    isSame: (hash, password) => Promise.resolve(hash === password),
  });
}

test("the code of the mail completes the sign-up of the requesting token", async () => {
  await using scratch = scratchStore();
  const signUps = open(scratch);
  const { code, token } = await signUps.begin(EMAIL, "pw", { hash: "pw", displayName: "Ann" });
  expect(await signUps.isKnown(EMAIL, token)).toBe(true);
  expect(await signUps.isKnown("ben@example.com", token)).toBe(false);
  await expect(signUps.confirm(EMAIL, code, "another token")).rejects.toMatchObject({
    code: "INVALID_CODE",
  });
  expect(await signUps.confirm(EMAIL, code, token)).toEqual({ hash: "pw", displayName: "Ann" });
  expect(await signUps.isKnown(EMAIL, token)).toBe(false);
});

test("a client without a token completes the only sign-up with its address", async () => {
  await using scratch = scratchStore();
  const signUps = open(scratch);
  const { code } = await signUps.begin(EMAIL, "pw", { hash: "pw" });
  expect(await signUps.confirm(EMAIL, code, null)).toEqual({ hash: "pw" });
});

test("of two sign-ups with one address, a code without a token completes neither", async () => {
  await using scratch = scratchStore();
  const signUps = open(scratch);
  const stranger = await signUps.begin(EMAIL, "theirs", { hash: "theirs" });
  const owner = await signUps.begin(EMAIL, "mine", { hash: "mine" });
  for (const { code } of [stranger, owner])
    await expect(signUps.confirm(EMAIL, code, null)).rejects.toMatchObject({
      code: "INVALID_CODE",
      field: "sign_up_token",
    });
  expect(await signUps.confirm(EMAIL, owner.code, owner.token)).toEqual({ hash: "mine" });
});

test("a repeated request with the same password counts as the same person's", async () => {
  await using scratch = scratchStore();
  const signUps = open(scratch);
  await signUps.begin(EMAIL, "pw", { hash: "pw" });
  const { code } = await signUps.begin(EMAIL, "pw", { hash: "pw" });
  expect(await signUps.confirm(EMAIL, code, null)).toEqual({ hash: "pw" });
});

test("a sign-up expires with its code", async () => {
  await using scratch = scratchStore();
  const signUps = open(scratch);
  await signUps.begin(EMAIL, "theirs", { hash: "theirs" });
  scratch.advance(10 * 60_000);
  const { code } = await signUps.begin(EMAIL, "mine", { hash: "mine" });
  expect(await signUps.confirm(EMAIL, code, null)).toEqual({ hash: "mine" });
});
