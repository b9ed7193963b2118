import { createSyncEngine, createWriteThroughStorage } from "@pylonsync/sync";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { keepsCookies, providerUrl, toProviders } from "./provider-calls.ts";

const engine = (baseUrl: string, credentials: "token" | "cookie" = "token") =>
  createSyncEngine(baseUrl, {
    credentials,
    storage: createWriteThroughStorage({}, () => undefined),
  });

test("the URL of a sign-in contains any name and any page unchanged", () => {
  const sync = engine("https://api.example.com/");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string(), fc.string(), (name, back, failed) => {
      const url = new URL(providerUrl(name, { sync, callback: back, errorCallback: failed }));
      expect(url.origin).toBe("https://api.example.com");
      // A URL removes these two, even if they are encoded.
      if (name !== "." && name !== "..")
        expect(decodeURIComponent(url.pathname)).toBe(`/api/auth/login/${name}`);
      expect(Object.fromEntries(url.searchParams)).toEqual({
        redirect: "1",
        callback: back,
        error_callback: failed,
      });
    }),
  );
});

test("providers are labelled with their usual names", () => {
  expect(
    toProviders([{ provider: "github" }, { provider: "google" }, { provider: "acme" }]),
  ).toEqual([
    { name: "github", label: "GitHub" },
    { name: "google", label: "Google" },
    { name: "acme", label: "Acme" },
  ]);
  expect(() => toProviders([{ name: "github" }])).toThrow();
});

test("the cookie is sent back if the engine uses it, or if it has the page's origin", () => {
  expect(keepsCookies(engine("https://api.example.com", "cookie"))).toBe(true);
  expect(keepsCookies(engine("https://api.example.com"))).toBe(false);
});
