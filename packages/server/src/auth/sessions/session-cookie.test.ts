import { expect, test } from "bun:test";
import { SessionCookie } from "./session-cookie.ts";

const cookie = new SessionCookie(() => ({
  name: "shop_session",
  domain: undefined,
  sameSite: "strict",
  secure: true,
}));

function reading(header: string): string | null {
  return cookie.read(new Headers({ cookie: header }));
}

test("stores a token where no script can read it, for the lifetime of the session", () => {
  expect(cookie.keep("the-token", 90_500).split("; ").toSorted()).toEqual([
    "HttpOnly",
    "Max-Age=90",
    "Path=/",
    "SameSite=Strict",
    "Secure",
    "shop_session=the-token",
  ]);
  expect(cookie.clear()).toContain("Max-Age=0");
});

test("reads its own cookie, among others, and an empty one as none", () => {
  expect(reading("a=1; shop_session=the-token; b=2")).toBe("the-token");
  expect(reading("a=1; shop_session_device=other")).toBeNull();
  expect(reading("shop_session=")).toBeNull();
  expect(cookie.read(new Headers())).toBeNull();
});

test("other cookies with the same rules have a suffix, and are sent only to the API", () => {
  const set = cookie.other("device", "secret", 1000);
  expect(set).toStartWith("shop_session_device=secret;");
  expect(set).toContain("Path=/api/auth");
  expect(set).toContain("SameSite=Lax");
  const headers = new Headers({ cookie: "shop_session_device=secret" });
  expect(cookie.readOther(headers, "device")).toBe("secret");
  expect(cookie.readOther(headers, "mfa")).toBeNull();
});

test("a domain is part of each cookie", () => {
  const shared = new SessionCookie(() => ({
    name: "s",
    domain: "example.com",
    sameSite: "lax",
    secure: false,
  }));
  for (const set of [shared.keep("t", 1000), shared.clear(), shared.other("x", "v", 0)]) {
    expect(set).toContain("Domain=example.com");
    expect(set).not.toContain("Secure");
  }
});
