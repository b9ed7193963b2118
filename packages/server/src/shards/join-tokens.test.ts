import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import fc from "fast-check";
import { ANONYMOUS } from "../identity/identity.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { scratchStore } from "../store/testing/scratch-store.ts";
import { JoinTokens, type JoinClaims } from "./join-tokens.ts";

const DAY_MS = 24 * 60 * 60_000;
const claims: JoinClaims = {
  shardId: "arena:1",
  subscriberId: "ann",
  role: "player",
  identity: { caller: { ...ANONYMOUS, userId: "ann" }, sessionId: "s1", expiresAt: Infinity },
};

async function codeOf(refused: Promise<unknown>): Promise<string> {
  const error: unknown = await refused.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof PylonError ? error.code : String(error);
}

test("a token says what was signed, to every replica, until it is over", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const [one, two] = [new JoinTokens(store, platform), new JoinTokens(store, platform)];
  const [token, other] = await Promise.all([one.sign(claims, 60_000), two.sign(claims, 60_000)]);
  expect(await two.verify(token)).toEqual(claims);
  expect(await one.verify(other)).toEqual(claims);
  advance(59_000);
  expect(await new JoinTokens(store, platform).verify(token)).toEqual(claims);
  advance(2_000);
  expect(await codeOf(one.verify(token))).toBe("JOIN_TOKEN_REFUSED");
});

test("a token is over with the session that it was made in", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const tokens = new JoinTokens(store, platform);
  const expiresAt = platform.now() + 5_000;
  const short = { ...claims, identity: { ...claims.identity, expiresAt } };
  const token = await tokens.sign(short, 60_000);
  expect(await tokens.verify(token)).toEqual(short);
  advance(6_000);
  expect(await codeOf(tokens.verify(token))).toBe("JOIN_TOKEN_REFUSED");
});

test("weakness 3: no change of a token is taken, whatever it is", async () => {
  await using scratch = scratchStore();
  const tokens = new JoinTokens(scratch.store, scratch.platform);
  const token = await tokens.sign(claims, 60_000);
  const character = fc.constantFrom(...Array.from("ABCXYZabcxyz0189-_."));
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), character, async (at, put) => {
      const changed = token.slice(0, at) + put + token.slice(at + 1);
      const outcome = await tokens.verify(changed).catch((error: unknown) => error);
      if (changed === token || !(outcome instanceof PylonError)) expect(outcome).toEqual(claims);
      else expect(outcome.code).toBe("JOIN_TOKEN_REFUSED");
    }),
    { numRuns: 300 },
  );
  // One with the claims of its own choice, signed by nobody.
  const [period = "", payload = "", signature = ""] = token.split(".");
  const forged = Buffer.from(
    Buffer.from(payload, "base64url").toString().replaceAll("ann", "eve"),
  ).toString("base64url");
  for (const text of [
    `${period}.${forged}.${signature}`,
    `${period}.${forged}.`,
    `${Number(period) + 1}.${payload}.${signature}`,
    "",
    "..",
    "x".repeat(10_000),
  ])
    expect(await codeOf(tokens.verify(text))).toBe("JOIN_TOKEN_REFUSED");
});

test("secrets are a day's: yesterday's is still taken, an older one is gone", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const tokens = new JoinTokens(store, platform);
  const token = await tokens.sign(claims, 3 * DAY_MS);
  advance(DAY_MS);
  await tokens.sign(claims, 1000);
  await tokens.forgetOld();
  expect(await new JoinTokens(store, platform).verify(token)).toEqual(claims);
  advance(DAY_MS);
  await tokens.forgetOld();
  expect((await SYSTEM_TABLES.shardSecrets.select(store)).length).toBe(1);
  expect(await codeOf(tokens.verify(token))).toBe("JOIN_TOKEN_REFUSED");
});
