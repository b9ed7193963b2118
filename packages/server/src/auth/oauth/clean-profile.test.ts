import { expect, test } from "bun:test";
import { cleanProfile } from "./clean-profile.ts";

test("a profile keeps a valid name, address and picture", () => {
  expect(
    cleanProfile({
      id: "7",
      email: " Ann@Example.com ",
      emailVerified: true,
      name: " Ann ",
      avatar: "https://example.com/a.png",
    }),
  ).toEqual({
    id: "7",
    email: "ann@example.com",
    emailVerified: true,
    name: "Ann",
    avatar: "https://example.com/a.png",
  });
});

test("a profile loses invalid values, and an invalid address is not verified", () => {
  const empty = { id: "7", email: undefined, name: undefined, avatar: undefined };
  for (const odd of ["", "nonsense", "a\0b@example.com", "\ud800@example.com"])
    expect(cleanProfile({ id: "7", email: odd, emailVerified: true })).toEqual({
      ...empty,
      emailVerified: false,
    });
  for (const avatar of ["javascript:alert(1)", "http://example.com/a.png", "data:,x", "//x", "x"])
    expect(cleanProfile({ id: "7", emailVerified: false, avatar }).avatar).toBeUndefined();
  expect(cleanProfile({ id: "7", emailVerified: false, name: "   " }).name).toBeUndefined();
  expect(cleanProfile({ id: "7", emailVerified: false, name: "x".repeat(999) }).name).toHaveLength(
    200,
  );
});
