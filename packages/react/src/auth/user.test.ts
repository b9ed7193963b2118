import { expect, test } from "bun:test";
import { emailOfUser, nameOfUser } from "./user.ts";

test.each([
  [{ id: "1", displayName: "Ada", name: "ada", email: "ada@example.com" }, "Ada"],
  [{ id: "1", displayName: "", name: "ada", email: "ada@example.com" }, "ada"],
  [{ id: "1", displayName: null, email: "ada@example.com" }, "ada@example.com"],
  [{ id: "1", name: 5 }, "Account"],
  [null, "Account"],
])("%p has the name %p", (user, name) => {
  expect(nameOfUser(user)).toBe(name);
});

test("an address that the app hides is empty", () => {
  expect([{ id: "1", email: "ada@example.com" }, { id: "1" }, null].map(emailOfUser)).toEqual([
    "ada@example.com",
    "",
    "",
  ]);
});
