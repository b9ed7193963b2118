import { expect, test } from "bun:test";
import { VARIABLES } from "./variables.ts";
import { UNREAD_VARIABLES, unreadVariablesIn } from "./unread-variables.ts";

test("what is read is not said to be unread, and each is named once", () => {
  const names = UNREAD_VARIABLES.flatMap((group) => group.names);
  expect(names.filter((name) => Object.hasOwn(VARIABLES, name))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
  for (const { instead } of UNREAD_VARIABLES) {
    for (const [name] of instead.matchAll(/PYLON_[A-Z0-9_]+(?!<)\b/g))
      expect([name, Object.hasOwn(VARIABLES, name) || name.startsWith("PYLON_OAUTH")]).toEqual([
        name,
        true,
      ]);
  }
});

test("those that are set are found, by what takes their place", () => {
  expect(unreadVariablesIn({ PYLON_PORT: "1", PYLON_STRIPE_API_KEY: "" })).toEqual([]);
  expect(
    unreadVariablesIn({ PYLON_SESSION_DB: "s.db", PYLON_JOBS_DB: "j.db", PYLON_TOTP_ISSUER: "x" }),
  ).toMatchObject([
    { names: ["PYLON_SESSION_DB", "PYLON_JOBS_DB"], instead: expect.stringContaining("DB_PATH") },
    { names: ["PYLON_TOTP_ISSUER"] },
  ]);
});
