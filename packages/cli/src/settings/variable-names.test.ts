import { expect, test } from "bun:test";
import { isSecretName, isServerSetting, unknownVariables } from "./variable-names.ts";

test("a secret is recognized by the server or by its name, also an app's own", () => {
  expect(
    ["DATABASE_URL", "PYLON_ADMIN_TOKEN", "STRIPE_KEY", "PYLON_OAUTH_GITHUB_CLIENT_SECRET"].filter(
      (name) => !isSecretName(name),
    ),
  ).toEqual([]);
  expect(["PYLON_PORT", "GREETING"].filter(isSecretName)).toEqual([]);
});

test("a setting of the server is neither a secret nor an app's own", () => {
  expect(
    ["PYLON_PORT", "DATABASE_URL", "GREETING", "PYLON_OAUTH_GITHUB_CLIENT_ID"].filter(
      isServerSetting,
    ),
  ).toEqual(["PYLON_PORT", "PYLON_OAUTH_GITHUB_CLIENT_ID"]);
});

test("a misspelled name is found, and an app's own names are ignored", () => {
  expect(unknownVariables(["PYLON_PROT", "PYLON_PORT", "PORT", "PYLON_OAUTH_X"])).toEqual([
    { name: "PYLON_PROT", meant: "PYLON_PORT" },
  ]);
  expect(unknownVariables(["PYLON_GREETING"], new Set(["PYLON_GREETING"]))).toEqual([]);
});
