import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Secret, TOTP } from "otpauth";
import { TestClient, until, type Answer } from "../support/client.ts";
import { jobsDone } from "../support/jobs-done.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { OIDC_CLIENT, startOidcProvider, type OidcServer } from "../support/oidc-provider.ts";
import { freePort } from "../support/servers/free-port.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { shopApp } from "../support/shop-app.ts";
import { stillClock } from "../support/still-clock.ts";

// How an attacker may take over or keep another user's account, and what prevents it.

const [OWN, FOREIGN] = ["correct horse battery", "a stranger's pass phrase"];
const { platform, now, later } = stillClock();

let mail: MailServer;
let server: TestServer;
let nobody: TestClient;
let number = 0;
const newEmail = (): string => `user${(number += 1)}@example.com`;
const from = (): Record<string, string> => ({
  "X-Forwarded-For": `198.51.100.${(number += 1) % 250}`,
});
const as = ({ body }: Answer): TestClient =>
  new TestClient(server.url, body["token"] as string, body["user_id"] as string);
const post = (path: string, body: unknown, by = nobody, headers = from()): Promise<Answer> =>
  by.request("POST", `/api/auth${path}`, body, headers);
const codeTo = async (email: string, count = 1): Promise<string> =>
  /\b\d{6}\b/.exec((await mail.to(email, count)).text)?.[0] ?? "";
const tokenTo = async (email: string, count = 1): Promise<string> =>
  /token=([\w-]+)/.exec((await mail.to(email, count, /token=/)).text)?.[1] ?? "";
const isAlive = async (client: TestClient): Promise<boolean> =>
  (await client.request("GET", "/api/auth/session")).status === 200;
const register = (email: string, password: string): Promise<Answer> =>
  post("/password/register", { email, password });
const login = (email: string, password: string, headers = from()): Promise<Answer> =>
  post("/password/login", { email, password }, nobody, headers);

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(
    shopApp,
    {
      PYLON_SMTP_URL: mail.url,
      PYLON_EMAIL_FROM: "shop@example.com",
      PYLON_PUBLIC_URL: "https://shop.example.com",
      PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32),
      PYLON_TRUST_PROXY_HOPS: "1",
    },
    platform,
  );
  nobody = new TestClient(server.url, null);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

async function signUp(
  email = newEmail(),
): Promise<{ readonly user: TestClient; readonly email: string }> {
  await register(email, OWN);
  return {
    user: as(await post("/password/register/confirm", { email, code: await codeTo(email) })),
    email,
  };
}

async function enroll(user: TestClient): Promise<() => string> {
  const { body } = await post("/totp/enroll", {}, user);
  const totp = new TOTP({ secret: Secret.fromBase32(body["secret"] as string) });
  expect(
    (await post("/totp/verify", { code: totp.generate({ timestamp: now() }) }, user)).status,
  ).toBe(200);
  await jobsDone(server.url);
  later(60);
  return () => totp.generate({ timestamp: now() });
}

describe("T8: a sign-up with another user's address", () => {
  test("before or after its owner's is not confirmed by the owner's code", async () => {
    for (const ownerIsFirst of [true, false]) {
      const email = newEmail();
      const passwords = ownerIsFirst ? [OWN, FOREIGN] : [FOREIGN, OWN];
      const answers: Answer[] = [];
      for (const password of passwords) {
        answers.push(await register(email, password));
        await mail.to(email, answers.length);
      }
      const tokens = answers.map(({ body }) => body["sign_up_token"] as string);
      expect(new Set(tokens).size).toBe(2);
      const codes = [await codeTo(email, 1), await codeTo(email, 2)];
      await until(() => mail.countTo(email) === 2);
      const sent = mail.mails
        .filter(({ to }) => to === email)
        .map(({ text }) => /\b\d{6}\b/.exec(text)?.[0] ?? "");
      const at = passwords.indexOf(OWN);
      // Whichever other code the owner enters on the page on which they chose their own password.
      for (const code of [...sent, ...codes].filter((candidate) => candidate !== sent[at])) {
        expect(
          (await post("/password/register/confirm", { email, code, sign_up_token: tokens[at] }))
            .status,
        ).toBe(401);
        const blind = await post("/password/register/confirm", { email, code });
        expect([blind.status, blind.body["error"]]).toMatchObject([
          401,
          { code: "INVALID_CODE", field: "sign_up_token" },
        ]);
      }
      const owner = await post("/password/register/confirm", {
        email,
        code: sent[at],
        sign_up_token: tokens[at],
      });
      expect(owner.status).toBe(200);
      expect((await login(email, OWN)).status).toBe(200);
      expect((await login(email, FOREIGN)).status).toBe(401);
      const late = await post("/password/register/confirm", {
        email,
        code: sent[1 - at],
        sign_up_token: tokens[1 - at],
      });
      expect(late.status).toBe(409);
    }
  });

  test("is bound to the browser by a cookie if the page sends only the code", async () => {
    const email = newEmail();
    const registered = await fetch(`${server.url}/api/auth/password/register`, {
      method: "POST",
      headers: from(),
      body: JSON.stringify({ email, password: OWN }),
    });
    const Cookie = (registered.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    expect(registered.headers.get("set-cookie")).toContain("HttpOnly");
    const code = await codeTo(email);
    await register(email, FOREIGN);
    expect((await post("/password/register/confirm", { email, code })).status).toBe(401);
    expect(
      (await post("/password/register/confirm", { email, code }, nobody, { ...from(), Cookie }))
        .status,
    ).toBe(200);
    expect((await login(email, OWN)).status).toBe(200);
  });

  test("can be confirmed by an older client if it is the only one, even repeated", async () => {
    const email = newEmail();
    await register(email, OWN);
    await codeTo(email);
    await jobsDone(server.url);
    later(61);
    await register(email, OWN);
    expect(
      (await post("/password/register/confirm", { email, code: await codeTo(email, 2) })).status,
    ).toBe(200);
    expect((await login(email, OWN)).status).toBe(200);
  });
});

describe("T8: a password reset of an account whose address was never verified", () => {
  let oidc: OidcServer;
  let shop: TestServer;
  const stop: (() => Promise<void>)[] = [];
  /**
   * How far the server's clock is ahead, in milliseconds. The provider uses the machine's clock.
   */
  let ahead = 0;
  const shifted = { ...platform, now: () => Date.now() + ahead };
  beforeAll(async () => {
    const port = await freePort();
    oidc = await startOidcProvider(`http://localhost:${port}/api/auth/callback/acme`);
    shop = await startServer(
      shopApp,
      {
        PYLON_DEV_MODE: "1",
        PYLON_PORT: String(port),
        PYLON_SINGLE_PORT: "1",
        PYLON_PUBLIC_URL: `http://localhost:${port}`,
        PYLON_OAUTH_ACME_CLIENT_ID: OIDC_CLIENT.id,
        PYLON_OAUTH_ACME_CLIENT_SECRET: OIDC_CLIENT.secret,
        PYLON_OAUTH_ACME_OIDC_ISSUER: oidc.issuer,
      },
      shifted,
    );
    stop.push(shop.stop, oidc.stop);
  });
  afterAll(async () => {
    for (const end of stop) await end();
  });

  const cookieOf = (response: Response, name: string): string =>
    (response.headers.getSetCookie().find((value) => value.startsWith(name)) ?? "").split(";")[0] ??
    "";
  async function withProvider(name: string, headers: Record<string, string> = {}): Promise<string> {
    const begun = await fetch(`${shop.url}/api/auth/login/acme?error_callback=/failed`, {
      headers,
    });
    const { redirect } = (await begun.json()) as { redirect: string };
    const back = await oidc.signIn(redirect, name);
    const answer = await fetch(back.replace(/^http:\/\/localhost/, "http://127.0.0.1"), {
      redirect: "manual",
      headers: { Cookie: cookieOf(begun, "pylon_oauth") },
    });
    return cookieOf(answer, "shop_session=");
  }

  test("revokes all access of its creator: provider, key, second factor, session", async () => {
    const anybody = new TestClient(shop.url, null);
    const Cookie = await withProvider("unverified-vic");
    const squatter = (method: string, path: string, body?: unknown): Promise<Answer> =>
      anybody.request(method, path, body, { Cookie });
    const { body: session } = await squatter("GET", "/api/auth/session");
    expect(session["user"]).toMatchObject({ email: "vic@example.com", emailVerified: false });
    const { body: key } = await squatter("POST", "/api/auth/api-keys", { name: "a way back" });
    const { body: enrolled } = await squatter("POST", "/api/auth/totp/enroll", {});
    const totp = new TOTP({ secret: Secret.fromBase32(enrolled["secret"] as string) });
    expect(
      (await squatter("POST", "/api/auth/totp/verify", { code: totp.generate() })).status,
    ).toBe(200);

    const { body: sent } = await anybody.request("POST", "/api/auth/password/reset/request", {
      email: "vic@example.com",
    });
    expect(
      (
        await anybody.request("POST", "/api/auth/password/reset/complete", {
          token: sent["dev_token"],
          password: OWN,
        })
      ).status,
    ).toBe(200);
    const owner = await anybody.request("POST", "/api/auth/password/login", {
      email: "vic@example.com",
      password: OWN,
    });
    expect(owner.status).toBe(200);
    const ownerClient = new TestClient(shop.url, owner.body["token"] as string);
    expect((await ownerClient.request("GET", "/api/auth/session")).body["user"]).toMatchObject({
      email: "vic@example.com",
      emailVerified: true,
    });
    expect((await squatter("GET", "/api/auth/me")).body["user_id"]).toBeNull();
    expect(
      (await new TestClient(shop.url, key["key"] as string).request("GET", "/api/auth/session"))
        .status,
    ).toBe(401);
    expect(await withProvider("unverified-vic")).toBe("");
    expect((await ownerClient.request("GET", "/api/auth/accounts")).body).toEqual([] as never);
    expect((await ownerClient.request("GET", "/api/auth/api-keys")).body).toEqual([] as never);
  });

  test("linking an account elsewhere needs a fresh sign-in or the password", async () => {
    const anybody = new TestClient(shop.url, null);
    const { body } = await anybody.request("POST", "/api/auth/password/register", {
      email: "ned@example.com",
      password: OWN,
    });
    const user = new TestClient(shop.url, body["token"] as string);
    const link = (extra: object): Promise<Answer> =>
      user.request("POST", "/api/auth/oauth/link/acme", extra);
    expect((await link({})).status).toBe(200);
    ahead += 11 * 60_000;
    expect((await link({})).body["error"]).toMatchObject({ code: "FRESH_SIGN_IN_REQUIRED" });
    expect((await link({ password: FOREIGN })).status).toBe(401);
    expect((await link({ password: OWN })).status).toBe(200);
    // A sign-in that a stale session starts is a separate one, and links nothing.
    const other = await withProvider("thief", { Authorization: `Bearer ${user.token}` });
    expect(
      (await anybody.request("GET", "/api/auth/session", undefined, { Cookie: other })).body[
        "user"
      ],
    ).toMatchObject({ email: "thief@example.com" });
    expect((await user.request("GET", "/api/auth/accounts")).body).toEqual([] as never);
  });
});

describe("a changed password", () => {
  test("T19: ends reset links, waiting sign-ins, trusted devices; mail names keys", async () => {
    const { user, email } = await signUp();
    await post("/api-keys", { name: "nightly http://evil.example report" }, user);
    const code = await enroll(user);
    const waiting = await login(email, OWN);
    const response = await fetch(`${server.url}/api/auth/totp/verify`, {
      method: "POST",
      headers: from(),
      body: JSON.stringify({
        mfa_token: (waiting.body["error"] as { mfa_token: string }).mfa_token,
        code: code(),
        trust_device: true,
      }),
    });
    const Cookie =
      (
        response.headers.getSetCookie().find((value) => value.startsWith("shop_session_device=")) ??
        ""
      ).split(";")[0] ?? "";
    expect((await login(email, OWN, { ...from(), Cookie })).status).toBe(200);
    const pending = await login(email, OWN);
    await post("/password/reset/request", { email });
    const links = [await tokenTo(email, 1)];
    await post("/password/reset/request", { email });
    links.push(await tokenTo(email, 2));
    expect(
      (await post("/password/reset/complete", { token: links[0], password: "another fine one" }))
        .status,
    ).toBe(200);
    const other = await post("/password/reset/complete", {
      token: links[1],
      password: "a third fine one",
    });
    expect([other.status, other.body["error"]]).toMatchObject([401, { code: "INVALID_TOKEN" }]);
    await jobsDone(server.url);
    later(30);
    expect(
      (
        await post("/totp/verify", {
          mfa_token: (pending.body["error"] as { mfa_token: string }).mfa_token,
          code: code(),
        })
      ).status,
    ).toBe(401);
    expect(
      (await login(email, "another fine one", { ...from(), Cookie })).body["error"],
    ).toMatchObject({ code: "MFA_REQUIRED" });
    const { text } = await mail.to(email, 1, /API keys/);
    expect(text.replaceAll(/\s+/g, " ")).toContain(
      'Its API keys are still valid: "nightly http evil example report"',
    );
  });

  test("is answered with a new token and cookie; all others are invalid", async () => {
    const { user, email } = await signUp();
    const other = as(await login(email, OWN));
    const response = await fetch(`${server.url}/api/auth/password/change`, {
      method: "POST",
      headers: { Authorization: `Bearer ${user.token}`, ...from() },
      body: JSON.stringify({ current_password: OWN, new_password: "another fine one" }),
    });
    const body = (await response.json()) as Record<string, unknown>;
    expect(body).toMatchObject({ changed: true, user_id: user.userId });
    expect(
      response.headers
        .getSetCookie()
        .some((value) => value.startsWith(`shop_session=${String(body["token"])}`)),
    ).toBe(true);
    expect((await mail.to(email, 2)).text).not.toContain("API keys");
    expect([
      await isAlive(user),
      await isAlive(other),
      await isAlive(new TestClient(server.url, body["token"] as string)),
    ]).toEqual([false, false, true]);
  });
});

describe("a session that is older than ten minutes, such as a stolen one", () => {
  test("can't change the address or add credentials, except with the password", async () => {
    const { user, email } = await signUp();
    const next = newEmail();
    const tries = (extra: object): Promise<Answer[]> =>
      Promise.all([
        post("/email/change/request", { new_email: next, ...extra }, user),
        post("/totp/enroll", extra, user),
        post("/api-keys", { name: "program", ...extra }, user),
      ]);
    await jobsDone(server.url);
    later(11 * 60);
    for (const answer of await tries({}))
      expect([answer.status, answer.body["error"]]).toMatchObject([
        403,
        { code: "FRESH_SIGN_IN_REQUIRED" },
      ]);
    for (const answer of await tries({ password: FOREIGN }))
      expect([answer.status, answer.body["error"]]).toMatchObject([
        401,
        { code: "INVALID_CREDENTIALS", field: "password" },
      ]);
    // A new token does not make the session younger.
    const renewed = as(await post("/refresh", undefined, user));
    expect((await post("/api-keys", { name: "program" }, renewed)).status).toBe(403);
    const statuses = [
      await post("/email/change/request", { new_email: next, password: OWN }, renewed),
      await post("/totp/enroll", { password: OWN }, renewed),
      await post("/api-keys", { name: "program", password: OWN }, renewed),
    ].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 201]);
    expect((await mail.to(email, 2)).text).toContain('An API key named "program" was created');
    expect(
      (await post("/email/change/confirm", { code: await codeTo(next) }, renewed)).status,
    ).toBe(200);
  });

  test("can't set a first password", async () => {
    const email = newEmail();
    await post("/magic/send", { email });
    const user = as(await post("/magic/verify", { email, code: await codeTo(email) }));
    await jobsDone(server.url);
    later(11 * 60);
    expect(
      (await post("/password/change", { new_password: FOREIGN }, user)).body["error"],
    ).toMatchObject({ code: "FRESH_SIGN_IN_REQUIRED" });
    await post("/magic/send", { email });
    const fresh = as(await post("/magic/verify", { email, code: await codeTo(email, 2) }));
    expect((await post("/password/change", { new_password: OWN }, fresh)).status).toBe(200);
    expect((await mail.to(email, 3)).text).toContain("password of your account was changed");
  });
});
