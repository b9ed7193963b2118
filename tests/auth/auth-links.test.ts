import { afterAll, beforeAll, expect, test } from "bun:test";
import { Secret, TOTP } from "otpauth";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, type Answer } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { freePort } from "../support/servers/free-port.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { shopApp } from "../support/shop-app.ts";

// Sign-in links in mails: which browser they sign in, as which user, and what happens to the rows
// of a guest.

const [ASKER, SESSION] = ["shop_session_link", "shop_session"];

let mail: MailServer;
let server: TestServer;
let url: string;
let nobody: TestClient;
let number = 0;
const newEmail = (): string => `user${(number += 1)}@example.com`;
const cookieOf = (response: Response, name: string): string =>
  (response.headers.getSetCookie().find((value) => value.startsWith(`${name}=`)) ?? "").split(
    ";",
  )[0] ?? "";
const whoIs = async (cookie: string): Promise<unknown> =>
  (await nobody.request("GET", "/api/auth/session", undefined, { Cookie: cookie })).body["user"];

beforeAll(async () => {
  mail = await startMailServer();
  const port = await freePort();
  url = `http://localhost:${port}`;
  server = await startServer(shopApp, {
    PYLON_PORT: String(port),
    PYLON_SINGLE_PORT: "1",
    PYLON_PUBLIC_URL: url,
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "shop@example.com",
    PYLON_COOKIE_SECURE: "0",
    PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32),
    PYLON_TRUSTED_ORIGINS: "https://app.example.com",
  });
  nobody = new TestClient(server.url, null);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

interface Asked {
  readonly path: string;
  readonly token: string;
  /** The cookie of the browser that requested the link. */
  readonly cookie: string;
}

async function ask(
  email: string,
  body: object = {},
  headers: Record<string, string> = {},
): Promise<Asked> {
  const before = mail.countTo(email, /magic-link/);
  const response = await fetch(`${server.url}/api/auth/magic-link/send`, {
    method: "POST",
    headers,
    body: JSON.stringify({ email, ...body }),
  });
  expect(response.status).toBe(200);
  const link = new URL(
    /http:\S+/.exec((await mail.to(email, before + 1, /magic-link/)).text)?.[0] ?? "",
  );
  return {
    path: link.pathname + link.search,
    token: link.searchParams.get("token") ?? "",
    cookie: cookieOf(response, ASKER),
  };
}

const open = (path: string, cookie = "", method = "GET"): Promise<Response> =>
  fetch(server.url + path, {
    method,
    redirect: "manual",
    headers: { Cookie: cookie, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate" },
  });
const press = (token: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${server.url}/api/auth/magic-link/verify`, {
    method: "POST",
    redirect: "manual",
    headers: { "Content-Type": "application/x-www-form-urlencoded", Origin: url, ...headers },
    body: new URLSearchParams({ token }),
  });

test("a link that another browser requested does not sign in or move rows by itself", async () => {
  const mallory = newEmail();
  const { path, token } = await ask(mallory);
  const guest = await TestClient.guest(server.url);
  await guest.insert("Note", { text: "the guest's secret" });
  const Cookie = `${SESSION}=${guest.token}`;
  const opened = await open(path, Cookie);
  expect([opened.status, opened.headers.getSetCookie()]).toEqual([200, []]);
  const page = await opened.text();
  expect(page).toContain(`Sign in as ${mallory}`);
  expect(opened.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  expect((await guest.request("GET", "/api/auth/me")).body["user_id"]).toBe(guest.userId);
  // A page of another site can't submit it.
  expect((await press(token, { Cookie, Origin: "https://evil.example" })).status).toBe(403);
  const pressed = await press(token, { Cookie });
  expect([pressed.status, pressed.headers.get("location")]).toEqual([303, `${url}/`]);
  expect(await whoIs(cookieOf(pressed, SESSION))).toMatchObject({ email: mallory });
  expect((await guest.request("GET", "/api/entities/Note")).body["data"]).toMatchObject([
    { text: "the guest's secret", ownerId: guest.userId },
  ]);
  expect((await press(token)).status).toBe(401);
});

test("the browser that requested the link is signed in; its guest becomes the user", async () => {
  const guest = await TestClient.guest(server.url);
  await guest.insert("Note", { text: "of a guest" });
  const email = newEmail();
  const own = { Cookie: `${SESSION}=${guest.token}` };
  const { path, cookie } = await ask(email, {}, own);
  const opened = await open(path, `${own.Cookie}; ${cookie}`);
  expect(opened.status).toBe(302);
  expect(await whoIs(cookieOf(opened, SESSION))).toMatchObject({ id: guest.userId, email });
  // The browser is also recognized by its session, without the cookie of the link.
  const other = await TestClient.guest(server.url);
  const session = { Cookie: `${SESSION}=${other.token}` };
  const second = await ask(newEmail(), {}, session);
  expect((await open(second.path, session.Cookie)).status).toBe(302);
});

test("a preview of a link does not use it up", async () => {
  const { path, cookie } = await ask(newEmail());
  const looked = await open(path, cookie, "HEAD");
  expect([looked.status, looked.headers.getSetCookie()]).toEqual([405, []]);
  for (let n = 0; n < 3; n += 1) expect((await open(path)).status).toBe(200);
  expect((await open(path, cookie)).status).toBe(302);
});

test("a user with a second factor is redirected to a page, which gets no token", async () => {
  const email = newEmail();
  const first = await ask(email);
  const session = cookieOf(await open(first.path, first.cookie), SESSION);
  const send = (path: string, body: object): Promise<Answer> =>
    nobody.request("POST", path, body, { Cookie: session });
  const { body } = await send("/api/auth/totp/enroll", {});
  const totp = new TOTP({ secret: Secret.fromBase32(body["secret"] as string) });
  expect((await send("/api/auth/totp/verify", { code: totp.generate() })).status).toBe(200);

  const second = await ask(email, { callback: "https://app.example.com/in" });
  const asked = await open(second.path, second.cookie);
  const target = new URL(asked.headers.get("location") ?? "");
  expect([
    asked.status,
    target.origin + target.pathname,
    target.searchParams.get("redirect"),
    target.searchParams.get("oauth_error"),
  ]).toEqual([302, `${url}/auth/sign-in`, "https://app.example.com/in", "MFA_REQUIRED"]);
  expect([cookieOf(asked, SESSION), await asked.text()]).toEqual(["", ""]);
  const pending = await nobody.request(
    "POST",
    "/api/auth/oauth/pending",
    {},
    { Cookie: cookieOf(asked, "shop_session_mfa") },
  );
  expect(pending.body).toMatchObject({ mfa_token: expect.any(String), methods: ["totp"] });

  const third = await ask(email, { callback: "/in", error_callback: "/failed" });
  expect(new URL((await press(third.token)).headers.get("location") ?? "").pathname).toBe(
    "/failed",
  );
});

test("the confirmation page works in a browser without JavaScript", async () => {
  const browser = await launchBrowser();
  try {
    const email = newEmail();
    const { path } = await ask(email, { callback: "/health" });
    const page = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
    await page.goto(url + path);
    await page.getByRole("button", { name: `Sign in as ${email}` }).click();
    await page.waitForURL(`${url}/health`);
    const cookies = await page.context().cookies();
    expect(
      await whoIs(cookies.map(({ name, value }) => `${name}=${value}`).join("; ")),
    ).toMatchObject({ email });
  } finally {
    await browser.close();
  }
}, 60_000);
