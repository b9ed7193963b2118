import { expect, test } from "bun:test";
import { callerOf } from "./caller.ts";

test.each([
  ["", { userId: null }],
  ["  ", { userId: null }],
  [" u1 ", "u1"],
  [
    '{"userId": "u1", "roles": ["editor"], "tenantId": "t1"}',
    { userId: "u1", roles: ["editor"], tenantId: "t1" },
  ],
])("%p names the caller %p", (text, caller) => {
  expect(callerOf(text)).toEqual(caller);
});

test("an identity that is not complete is reported", () => {
  expect(() => callerOf('{"userId": ')).toThrow("This is not JSON");
});
