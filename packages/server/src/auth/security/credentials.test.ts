import { expect, test } from "bun:test";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { Credentials } from "./credentials.ts";

test("returns what a user can sign in with, over all kinds of credentials", async () => {
  const credentials = new Credentials();
  const forgotten: string[] = [];
  const hasPassword = (userId: string): Promise<boolean> => Promise.resolve(userId === "ann");
  credentials.add({
    forget: async (userId) => void forgotten.push(`password of ${userId}`),
    signsIn: hasPassword,
    ways: async (userId) => ({ hasPassword: await hasPassword(userId) }),
  });
  credentials.add({ forget: async (userId) => void forgotten.push(`keys of ${userId}`) });
  expect(await credentials.ways("ann")).toEqual({
    hasPassword: true,
    hasPasskey: false,
    hasAuthenticator: false,
    providers: [],
  });
  await using scratch = scratchStore();
  await scratch.store.transact(async (tx) => {
    await credentials.requireSignIn(tx, "ann");
    await expect(credentials.requireSignIn(tx, "ben")).rejects.toMatchObject({
      code: "LAST_SIGN_IN",
    });
  });
  await credentials.forgetAll("ann");
  expect(forgotten).toEqual(["password of ann", "keys of ann"]);
});
