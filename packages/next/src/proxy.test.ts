import { afterAll, beforeAll, expect, test } from "bun:test";
import { NextRequest } from "next/server";
import { cookieNameOf, urlOf } from "./settings.ts";
import { createPylonProxy, pylonMiddleware } from "./proxy.ts";

// A fake Pylon server that only checks the cookie; the real one is tested in
// tests/client/next.test.ts.
let pylon: Bun.Server<undefined>;
let url: string;

beforeAll(() => {
  pylon = Bun.serve({
    port: 0,
    fetch: (request) =>
      Response.json({
        user_id: request.headers.get("cookie") === "notes_session=good" ? "ann" : null,
      }),
  });
  url = pylon.url.href;
});
afterAll(() => pylon.stop(true));

const settings = { cookieName: "notes_session" };
const visit = (path: string, cookie?: string): NextRequest =>
  new NextRequest(
    `https://app.example.com${path}`,
    cookie === undefined ? {} : { headers: { Cookie: `notes_session=${cookie}` } },
  );
const ledTo = async (answer: Promise<Response>): Promise<string | null> =>
  (await answer).headers.get("location");

test("public pages need no session, others redirect to the sign-in page and back", async () => {
  const guard = pylonMiddleware({
    ...settings,
    publicPaths: ["/", "/blog/:path*"],
    signIn: "/sign-in",
  });
  for (const path of [
    "/",
    "/blog",
    "/blog/a/b",
    "/sign-in?next=/x",
    "/api/auth/me",
    "/auth/sign-in",
    "/_next/static/x.js",
  ])
    expect([path, await ledTo(guard(visit(path)))]).toEqual([path, null]);
  for (const path of ["/notes", "/blogs", "/apis", "/signin", "/notes?tab=1&x=//evil.example"]) {
    const location = new URL((await ledTo(guard(visit(path)))) ?? "");
    expect([location.origin, location.pathname, location.searchParams.get("next")]).toEqual([
      "https://app.example.com",
      "/sign-in",
      path,
    ]);
  }
  expect(await ledTo(guard(visit("/notes", "any")))).toBeNull();
});

test("verify checks the cookie with the server; an unreachable one signs no user out", async () => {
  const guard = pylonMiddleware({ ...settings, url, verify: true });
  expect(await ledTo(guard(visit("/notes", "good")))).toBeNull();
  expect(await ledTo(guard(visit("/notes", "bad; other=good")))).toContain(
    "/auth/sign-in?next=%2Fnotes",
  );
  const away = pylonMiddleware({ ...settings, url: "http://127.0.0.1:1", verify: true });
  expect(await ledTo(away(visit("/notes", "good")))).toBeNull();
});

test("only the paths of a matcher are guarded", async () => {
  const { proxy, config } = createPylonProxy({
    ...settings,
    matcher: ["/dashboard/:path*", "/team/:id"],
    loginUrl: "/login",
  });
  expect(config).toEqual({ matcher: ["/dashboard/:path*", "/team/:id"] });
  for (const path of ["/", "/team", "/team/1/2", "/dashboards"])
    expect([path, await ledTo(proxy(visit(path)))]).toEqual([path, null]);
  for (const path of ["/dashboard", "/dashboard/x/y", "/team/1"])
    expect(await ledTo(proxy(visit(path)))).toContain("/login?next=");
});

test("missing and invalid settings are named", () => {
  expect(() => cookieNameOf({ cookieName: "" })).toThrow("PYLON_COOKIE_NAME");
  expect(() => urlOf({ url: "pylon:4321" })).toThrow("PYLON_URL");
  expect(() => pylonMiddleware({ publicPaths: ["/a(.*)"] })).toThrow('"a(.*)"');
  expect(urlOf({ url: "http://pylon:4321/" })).toBe("http://pylon:4321");
});
