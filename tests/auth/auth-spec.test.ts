import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { loadConfig } from "@pylonsync/server";
import { TestClient, until, type Answer } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { OIDC_CLIENT, startOidcProvider, type OidcServer } from "../support/oidc-provider.ts";
import { freePort } from "../support/servers/free-port.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { shopApp } from "../support/shop-app.ts";

// Routes that older clients call, and that no other test covers.

let mail: MailServer;
let server: TestServer;
let nobody: TestClient;
let admin: TestClient;
let number = 0;
const newEmail = (): string => `user${(number += 1)}@example.com`;
const as = (answer: Answer): TestClient =>
  new TestClient(server.url, answer.body["token"] as string, answer.body["user_id"] as string);

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(shopApp, {
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "shop@example.com",
    PYLON_PUBLIC_URL: "https://shop.example.com",
    PYLON_COOKIE_SAME_SITE: "none",
    PYLON_COOKIE_SECURE: "1",
  });
  nobody = new TestClient(server.url, null);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

async function byCode(email = newEmail()): Promise<TestClient> {
  await nobody.request("POST", "/api/auth/magic/send", { email });
  return as(
    await nobody.request("POST", "/api/auth/magic/verify", {
      email,
      code: /\d{6}/.exec((await mail.to(email)).text)?.[0],
    }),
  );
}

test("POST /api/auth/anonymous creates a guest, as /guest does", async () => {
  for (const path of ["/api/auth/anonymous", "/api/auth/guest"]) {
    const { status, body } = await nobody.request("POST", path);
    expect([path, status, body]).toEqual([
      path,
      201,
      {
        token: expect.any(String),
        user_id: expect.any(String),
        expires_at: expect.any(Number),
        guest: true,
      },
    ] as never);
    expect(
      (await new TestClient(server.url, body["token"] as string).request("GET", "/api/auth/me"))
        .body,
    ).toMatchObject({ user_id: body["user_id"], is_guest: true });
  }
});

test("upgrade turns a guest into the user that the admin names, with its rows", async () => {
  const guest = await TestClient.guest(server.url);
  await guest.insert("Note", { text: "of a guest" });
  const user = await byCode();
  const upgraded = await admin.request("POST", "/api/auth/upgrade", {
    user_id: user.userId,
    guest_token: guest.token,
  });
  expect([upgraded.status, upgraded.body["user_id"]]).toEqual([200, user.userId]);
  expect((await as(upgraded).request("GET", "/api/auth/me")).body).toEqual({
    user_id: user.userId,
    is_admin: false,
    roles: [],
  });
  expect((await as(upgraded).request("GET", "/api/entities/Note")).body["data"]).toMatchObject([
    { text: "of a guest", ownerId: user.userId },
  ]);
  expect(upgraded.body).toEqual({
    upgraded: true,
    user_id: user.userId,
    token: guest.token,
    expires_at: expect.any(Number),
  });
});

test("upgrade returns a new token on request, and ends the guest's other sessions", async () => {
  const [guest, user] = [await TestClient.guest(server.url), await byCode()];
  const { body } = await admin.request("POST", "/api/auth/upgrade", {
    user_id: user.userId,
    guest_token: guest.token,
    rotate: true,
  });
  expect(body).toMatchObject({ upgraded: true, user_id: user.userId });
  expect(body["token"]).not.toBe(guest.token);
  expect((await guest.request("GET", "/api/entities/Note")).status).toBe(401);
});

test("POST /api/auth/upgrade needs a session to upgrade", async () => {
  const { status, body } = await admin.request("POST", "/api/auth/upgrade", { user_id: "ann" });
  expect([status, body["error"]]).toMatchObject([400, { code: "UPGRADE_FAILED" }]);
});

test("POST /api/auth/upgrade is only for the admin, and only for guests", async () => {
  const [guest, user] = [await TestClient.guest(server.url), await byCode()];
  for (const caller of [nobody, guest, user])
    expect(
      (
        await caller.request("POST", "/api/auth/upgrade", {
          user_id: user.userId,
          guest_token: guest.token,
        })
      ).status,
    ).toBe(403);
  expect(
    (
      await admin.request("POST", "/api/auth/upgrade", {
        user_id: guest.userId,
        guest_token: user.token,
      })
    ).body["error"],
  ).toMatchObject({ code: "INVALID_DATA", field: "guest_token" });
  expect(
    (await admin.request("POST", "/api/auth/upgrade", { guest_token: guest.token })).body["error"],
  ).toMatchObject({ code: "MISSING_USER_ID" });
  expect((await guest.request("GET", "/api/auth/me")).body["user_id"]).toBe(guest.userId);
});

describe("/api/admin/users", () => {
  test("exports and deletes a user, only for the admin", async () => {
    const user = await byCode();
    await user.insert("Note", { text: "mine" });
    for (const caller of [nobody, user]) {
      expect((await caller.request("GET", `/api/admin/users/${user.userId}/export`)).status).toBe(
        403,
      );
      expect((await caller.request("DELETE", `/api/admin/users/${user.userId}`)).status).toBe(403);
    }
    expect(
      (await admin.request("GET", `/api/admin/users/${user.userId}/export`)).body,
    ).toMatchObject({ user: { id: user.userId }, rows: { Note: [{ text: "mine" }] } });
    const socket = await user.live(0).ready();
    expect((await admin.request("DELETE", `/api/admin/users/${user.userId}`)).body).toEqual({
      deleted: true,
    });
    await until(() => socket.closed !== null, 1000);
    expect((await user.request("GET", "/api/auth/session")).status).toBe(401);
    for (const [method, path] of [
      ["GET", "/export"],
      ["DELETE", ""],
    ] as const)
      expect(
        (await admin.request(method, `/api/admin/users/${user.userId}${path}`)).body["error"],
      ).toMatchObject({ code: "NOT_FOUND" });
  });
});

test("PYLON_COOKIE_SAME_SITE sets the cookie's attribute, and none requires https", async () => {
  const response = await fetch(`${server.url}/api/auth/guest`, { method: "POST" });
  expect(response.headers.get("set-cookie")).toMatch(
    /^shop_session=[^;]+; .*Secure; SameSite=None$/,
  );
  expect(() => loadConfig({ PYLON_COOKIE_SAME_SITE: "none", PYLON_COOKIE_SECURE: "0" })).toThrow(
    "PYLON_COOKIE_SAME_SITE",
  );
  expect(() => loadConfig({ PYLON_COOKIE_SAME_SITE: "whatever" })).toThrow(
    "PYLON_COOKIE_SAME_SITE",
  );
});

test("POST /api/auth/orgs/ID/members invites: accepting makes the user a member", async () => {
  const [owner, email] = [await byCode(), newEmail()];
  const invited = await byCode(email);
  const { body: organization } = await owner.request("POST", "/api/auth/orgs", { name: "Acme" });
  const members = `/api/auth/orgs/${String(organization["id"])}/members`;
  expect((await invited.request("POST", members, { email })).status).toBe(404);
  const answer = await owner.request("POST", members, { email, role: "admin" });
  expect([answer.status, answer.body]).toMatchObject([201, { email, role: "admin" }]);
  expect((await owner.request("GET", members)).body).toHaveLength(1);
  const token = /token=([\w-]+)/.exec((await mail.to(email, 1, /token=/)).text)?.[1];
  expect((await invited.request("POST", `/api/auth/invites/${token}/accept`)).status).toBe(200);
  expect((await owner.request("GET", members)).body).toHaveLength(2);
});

test("POST /api/auth/select-org changes the token only if the client requests it", async () => {
  const user = await byCode();
  const { body: organization } = await user.request("POST", "/api/auth/orgs", { name: "Acme" });
  const select = (extra: object): Promise<Answer> =>
    user.request("POST", "/api/auth/select-org", { org_id: organization["id"], ...extra });
  expect((await select({})).body).toEqual({
    tenant_id: organization["id"],
    tenantId: organization["id"],
    roles: ["org:owner"],
  });
  const { body } = await select({ rotate: true });
  expect(body).toMatchObject({
    tenant_id: organization["id"],
    roles: ["org:owner"],
    user_id: user.userId,
  });
  expect((await user.request("GET", "/api/auth/session")).status).toBe(401);
  expect(
    (await new TestClient(server.url, body["token"] as string).request("GET", "/api/auth/me")).body,
  ).toMatchObject({ tenant_id: organization["id"], roles: ["org:owner"] });
});

describe("POST /api/auth/oauth/refresh/PROVIDER", () => {
  let oidc: OidcServer;
  let shop: TestServer;
  beforeAll(async () => {
    const port = await freePort();
    oidc = await startOidcProvider(`http://localhost:${port}/api/auth/callback/acme`, {
      givesRefreshTokens: true,
    });
    shop = await startServer(shopApp, {
      PYLON_DEV_MODE: "1",
      PYLON_PORT: String(port),
      PYLON_SINGLE_PORT: "1",
      PYLON_PUBLIC_URL: `http://localhost:${port}`,
      PYLON_OAUTH_ACME_CLIENT_ID: OIDC_CLIENT.id,
      PYLON_OAUTH_ACME_CLIENT_SECRET: OIDC_CLIENT.secret,
      PYLON_OAUTH_ACME_OIDC_ISSUER: oidc.issuer,
    });
  });
  afterAll(async () => {
    await shop.stop();
    await oidc.stop();
  });

  test("renews the provider's tokens, repeatedly, and returns none of them", async () => {
    const begun = await fetch(`${shop.url}/api/auth/login/acme`);
    const { redirect } = (await begun.json()) as { redirect: string };
    const back = await oidc.signIn(redirect, "ann");
    const answer = await fetch(back.replace(/^http:\/\/localhost/, "http://127.0.0.1"), {
      redirect: "manual",
      headers: { Cookie: (begun.headers.get("set-cookie") ?? "").split(";")[0] ?? "" },
    });
    const Cookie =
      (
        answer.headers.getSetCookie().find((value) => value.startsWith("shop_session=")) ?? ""
      ).split(";")[0] ?? "";
    const refresh = (provider: string, headers: Record<string, string>): Promise<Answer> =>
      new TestClient(shop.url, null).request(
        "POST",
        `/api/auth/oauth/refresh/${provider}`,
        undefined,
        headers,
      );
    for (let n = 0; n < 2; n += 1)
      expect((await refresh("acme", { Cookie })).body).toEqual({
        refreshed: true,
        expires_at: expect.any(Number),
      });
    expect((await refresh("nobody", { Cookie })).body["error"]).toMatchObject({
      code: "PROVIDER_NOT_FOUND",
    });
    expect((await refresh("acme", {})).status).toBe(401);
    const { body } = await new TestClient(shop.url, null).request(
      "POST",
      "/api/auth/password/register",
      { email: "ben@example.com", password: "correct horse battery" },
    );
    expect(
      (await refresh("acme", { Authorization: `Bearer ${String(body["token"])}` })).body["error"],
    ).toMatchObject({ code: "ACCOUNT_NOT_FOUND" });
  });
});
