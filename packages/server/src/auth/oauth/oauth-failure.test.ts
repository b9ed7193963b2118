import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import { oauthFailure, refusedBy } from "./oauth-failure.ts";

test("a failure contains its code, and nothing that the provider wrote", () => {
  const told = oauthFailure("acme", {
    error: "invalid_grant",
    error_description: "the token is abc123",
  });
  expect(told).toMatchObject({ code: "OAUTH_FAILED" });
  expect(told.message).toBe("acme did not confirm the sign-in (invalid_grant).");
  expect(oauthFailure("acme", { error: "<script>" }).message).toContain("(unknown)");
  expect(oauthFailure("acme", new TypeError("a secret")).message).toContain("(TypeError)");
  const own = new PylonError("INVALID_STATE", "over");
  expect(oauthFailure("acme", own)).toBe(own);
});

test("a user's denial is distinguished from a provider's failure", () => {
  for (const no of ["access_denied", "user_cancelled_login", "user_cancelled_authorize"])
    expect(refusedBy("acme", no)).toMatchObject({ code: "OAUTH_DENIED" });
  expect(refusedBy("acme", "server_error")).toMatchObject({ code: "OAUTH_FAILED" });
  expect(refusedBy("acme", "a b<c>").message).toBe("acme rejected the sign-in (unknown).");
});
