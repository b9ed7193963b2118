import { expect, test } from "bun:test";
import { Origins } from "./origins.ts";

const [APP, OTHER] = ["https://app.example.com", "https://other.example.com"];

test("only pages of the configured origins, and of the server itself, may call", () => {
  const origins = new Origins([APP], { dev: false });
  expect(origins.allows(APP, "api.example.com")).toBe(true);
  expect(origins.allows(OTHER, "api.example.com")).toBe(false);
  expect(origins.allows("https://api.example.com", "api.example.com")).toBe(true);
  // Not a page.
  expect(origins.allows(null, "api.example.com")).toBe(true);
  expect(new Origins(["*"], { dev: false }).allows(OTHER, null)).toBe(true);
});

test("in dev mode pages of this machine may call, at any port", () => {
  expect(new Origins([], { dev: true }).allows("http://localhost:5173", "localhost:4321")).toBe(
    true,
  );
  expect(new Origins([], { dev: false }).allows("http://localhost:5173", "localhost:4321")).toBe(
    false,
  );
});

test("a response allows the one origin of the request, and caches keep responses apart", () => {
  const origins = new Origins([APP], { dev: false });
  expect(origins.headers(APP, null)).toMatchObject({
    Vary: "Origin",
    "Access-Control-Allow-Origin": APP,
    "Access-Control-Allow-Credentials": "true",
  });
  expect(origins.headers(OTHER, null)).toEqual({ Vary: "Origin" });
});

test("a preflight returns methods and headers to a page that may call", () => {
  const origins = new Origins([APP], { dev: false });
  const [allowed, refused] = [origins.preflight(APP, null), origins.preflight(OTHER, null)];
  expect([allowed.status, refused.status]).toEqual([204, 204]);
  expect(allowed.headers.get("Access-Control-Allow-Origin")).toBe(APP);
  expect(allowed.headers.get("Access-Control-Allow-Headers")).toContain("Idempotency-Key");
  expect(refused.headers.get("Access-Control-Allow-Origin")).toBeNull();
});
