import { expect, test } from "bun:test";
import fc from "fast-check";
import { TrustedOrigins, type OriginSettings } from "./trusted-origins.ts";

const SETTINGS: OriginSettings = {
  dev: false,
  publicUrl: "https://app.example.com",
  trusted: () => ["https://shop.example.com"],
  csrf: ["https://old.example.com"],
};

function request(headers: Record<string, string>, method = "POST"): Request {
  return new Request("http://app.example.com/api", {
    method,
    headers: { host: "app.example.com", ...headers },
  });
}

test("a cookie is accepted from pages of this server and of trusted origins", () => {
  const origins = new TrustedOrigins(SETTINGS);
  const mayUse = (headers: Record<string, string>, method?: string): boolean =>
    origins.mayUseCookie(request(headers, method));
  expect(mayUse({ origin: "https://app.example.com" })).toBe(true);
  expect(mayUse({ origin: "https://shop.example.com" })).toBe(true);
  expect(mayUse({ origin: "https://old.example.com" })).toBe(true);
  expect(mayUse({ origin: "https://evil.example" })).toBe(false);
  expect(mayUse({ origin: "null" })).toBe(false);
  expect(mayUse({ origin: "https://shop.example.com.evil.example" })).toBe(false);
  expect(mayUse({})).toBe(true);
  expect(mayUse({ "sec-fetch-site": "cross-site" })).toBe(false);
  expect(mayUse({ "sec-fetch-site": "cross-site" }, "GET")).toBe(true);
  expect(mayUse({ "sec-fetch-site": "same-site" })).toBe(false);
});

test("without Origin and Sec-Fetch-Site, the page's URL decides about a write", () => {
  const origins = new TrustedOrigins(SETTINGS);
  const mayUse = (headers: Record<string, string>, method?: string): boolean =>
    origins.mayUseCookie(request(headers, method));
  expect(mayUse({ referer: "https://app.example.com/notes?a=1" })).toBe(true);
  expect(mayUse({ referer: "https://shop.example.com/" })).toBe(true);
  expect(mayUse({ referer: "https://old.example.com/" })).toBe(true);
  expect(mayUse({ referer: "https://evil.example/app.example.com" })).toBe(false);
  expect(mayUse({ referer: "https://app.example.com@evil.example/" })).toBe(false);
  expect(mayUse({ referer: "not a url" })).toBe(false);
  expect(mayUse({ referer: "https://evil.example/" }, "GET")).toBe(true);
  // Newer headers are more exact, and a page can't set them.
  expect(mayUse({ referer: "https://evil.example/", "sec-fetch-site": "same-origin" })).toBe(true);
  const own = { origin: "https://app.example.com", referer: "https://evil.example/" };
  expect(mayUse(own)).toBe(true);
});

test("a browser is redirected only to paths of this server and to trusted origins", () => {
  const origins = new TrustedOrigins(SETTINGS);
  const target = (to: string): string => origins.redirectTarget(request({}), to);
  expect(target("/welcome?a=1#x")).toBe("https://app.example.com/welcome?a=1#x");
  expect(target("https://shop.example.com/cart")).toBe("https://shop.example.com/cart");
  for (const bad of [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://app.example.com@evil.example",
    "https://user:pw@app.example.com/",
    "https://old.example.com/",
    "http://app.example.com/",
  ])
    expect(() => target(bad)).toThrow("are not allowed");
});

test("the origin of every redirect is a trusted one", () => {
  const origins = new TrustedOrigins(SETTINGS);
  const part = fc.constantFrom("/", "//", "\\", "@", ":", "evil.example", "app.example.com", "#");
  const text = fc.array(fc.oneof(part, fc.webUrl(), fc.string()), { maxLength: 5 });
  const trusted = new Set(["https://app.example.com", "https://shop.example.com"]);
  fc.assert(
    fc.property(text, (parts) => {
      let target: string;
      try {
        target = origins.redirectTarget(request({}), parts.join(""));
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_REDIRECT" });
        return;
      }
      expect(trusted.has(new URL(target).origin)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("a link in a mail never depends on the Host header", () => {
  const asked = request({ host: "evil.example" });
  expect(new TrustedOrigins(SETTINGS).mailedUrl(asked)).toBe("https://app.example.com");
  const unknown = new TrustedOrigins({ ...SETTINGS, publicUrl: null });
  expect(() => unknown.mailedUrl(asked)).toThrow("The public URL of this server");
});
