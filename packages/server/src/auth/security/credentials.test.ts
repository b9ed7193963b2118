import { expect, test } from "bun:test";
import { Credentials, type SignsIn } from "./credentials.ts";

test("returns what a user can sign in with, over all kinds of credentials", async () => {
  const credentials = new Credentials();
  const forgotten: string[] = [];
  const hasPassword: SignsIn = (userId) => Promise.resolve(userId === "ann");
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
  expect(await credentials.signIn("ann")).toBe(true);
  expect(await credentials.signIn("ann", hasPassword)).toBe(false);
  expect(await credentials.signIn("ben")).toBe(false);
  await credentials.forgetAll("ann");
  expect(forgotten).toEqual(["password of ann", "keys of ann"]);
});
