import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import { SignInOutcomes } from "./sign-in-outcomes.ts";

test("counts attempts by outcome, and returns and throws what they do", async () => {
  const outcomes = new SignInOutcomes();
  const failing = (error: Error): Promise<unknown> =>
    outcomes.of(() => Promise.reject(error)).catch((thrown: unknown) => thrown);
  expect(await outcomes.of(() => Promise.resolve("in"))).toBe("in");
  const refused = new PylonError("INVALID_CREDENTIALS", "no");
  expect(await failing(refused)).toBe(refused);
  await failing(new PylonError("MFA_REQUIRED", "a code"));
  await failing(new PylonError("RATE_LIMITED", "later"));
  await failing(new PylonError("EMAIL_NOT_SENT", "mail"));
  await failing(new Error("a bug"));
  expect(outcomes.counts).toEqual({ ok: 1, second_factor: 1, refused: 1, limited: 1, failed: 2 });
});
