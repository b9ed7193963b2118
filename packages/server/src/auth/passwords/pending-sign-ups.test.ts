import { expect, test } from "bun:test";
import { scratchStore, type Scratch } from "../../store/testing/scratch-store.ts";
import { OneTimeCodes } from "../security/one-time-codes.ts";
import { PendingSignUps } from "./pending-sign-ups.ts";

const EMAIL = "ann@example.com";

/** Hashes that are the passwords themselves: what is tested here is whose sign-up a code ends. */
function open({ store, platform }: Scratch): PendingSignUps {
  return new PendingSignUps(store, platform, new OneTimeCodes(store, platform), {
    isSame: (hash, password) => Promise.resolve(hash === password),
  });
}

test("the code of the mail ends the sign-up of the token that asked", async () => {
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

test("a client that knows no token ends the only sign-up with its address", async () => {
  await using scratch = scratchStore();
  const signUps = open(scratch);
  const { code } = await signUps.begin(EMAIL, "pw", { hash: "pw" });
  expect(await signUps.confirm(EMAIL, code, null)).toEqual({ hash: "pw" });
});

test("where two people sign up with one address, a code without a token ends neither", async () => {
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

test("a request that comes again with the same password is the same person's", async () => {
  await using scratch = scratchStore();
  const signUps = open(scratch);
  await signUps.begin(EMAIL, "pw", { hash: "pw" });
  const { code } = await signUps.begin(EMAIL, "pw", { hash: "pw" });
  expect(await signUps.confirm(EMAIL, code, null)).toEqual({ hash: "pw" });
});

test("a sign-up waits no longer than its code", async () => {
  await using scratch = scratchStore();
  const signUps = open(scratch);
  await signUps.begin(EMAIL, "theirs", { hash: "theirs" });
  scratch.advance(10 * 60_000);
  const { code } = await signUps.begin(EMAIL, "mine", { hash: "mine" });
  expect(await signUps.confirm(EMAIL, code, null)).toEqual({ hash: "mine" });
});
