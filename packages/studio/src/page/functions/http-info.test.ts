import { expect, test } from "bun:test";
import { accessText, type HttpFunctionInfo } from "./http-info.ts";

const info: HttpFunctionInfo = {
  ...{ name: "a", methods: "GET", path: "/a", auth: "public", cookies: false },
};

test.each([
  [{}, "everyone"],
  [{ auth: "user", cookies: true }, "signed-in users, also by cookie"],
  [{ auth: { roles: ["editor", "owner"] } }, "users with the role editor or owner"],
  [{ auth: "auth.tenantId != null" }, "callers with: auth.tenantId != null"],
])("%p: %s", (changes, text) => {
  expect(accessText({ ...info, ...changes })).toBe(text);
});
