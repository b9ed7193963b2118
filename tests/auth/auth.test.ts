import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { auth, buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until, type Answer } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const PASSWORD = "correct horse battery";
const User = entity("User", {
  email: field.string().unique(),
  displayName: field.string(),
  emailVerified: field.bool().default(false),
  passwordHash: field.string().optional(),
  phone: field.string().optional(),
  createdAt: field.datetime().optional(),
});
const Note = entity("Note", { text: field.string(), ownerId: field.string().owner() });
const Mention = entity("Mention", { userId: field.id("User").optional(), text: field.string() });
const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [User, Note, Mention],
    policies: [
      policy({
        name: "users",
        entity: "User",
        allowRead: "auth.userId != null",
        allowUpdate: "auth.userId == old.id",
        allowInsert: "auth.userId != null",
      }),
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
      policy({ name: "mentions", entity: "Mention", allow: "auth.userId == data.userId" }),
    ],
    auth: auth({
      user: { hide: ["phone"] },
      trustedOrigins: ["https://app.example.com"],
      hooks: {
        onSignUp: ({ user }) => !String(user["email"]).endsWith("@refused.example"),
        onSignIn: ({ user }) => user["displayName"] !== "banned",
        claims: ({ user }) => ({
          roles: String(user["email"]).startsWith("staff") ? ["staff"] : [],
        }),
      },
    }),
  }),
);

let server: TestServer;
let mail: MailServer;
let nobody: TestClient;
let number = 0;
const newEmail = (): string => `user${(number += 1)}@example.com`;
const as = (answer: Answer): TestClient =>
  new TestClient(server.url, answer.body["token"] as string, answer.body["user_id"] as string);
const codeIn = (text: string): string => /\b\d{6}\b/.exec(text)?.[0] ?? "";

beforeAll(async () => {
  mail = await startMailServer({ user: "pylon", password: "p@ss word" });
  server = await startServer(app, {
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "Notes <notes@example.com>",
    PYLON_PUBLIC_URL: "https://api.example.com",
    PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32),
  });
  nobody = new TestClient(server.url, null);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

/** Signs up with a password and the code from the mail. */
async function signUp(email: string, by: TestClient = nobody): Promise<TestClient> {
  const registered = await by.request("POST", "/api/auth/password/register", {
    email,
    password: PASSWORD,
  });
  expect(registered.body).toEqual({
    verification_required: true,
    email,
    sign_up_token: expect.any(String),
  });
  const { text } = await mail.to(email);
  return as(
    await by.request("POST", "/api/auth/password/register/confirm", { email, code: codeIn(text) }),
  );
}

describe("passwords", () => {
  test("the code in the mail completes a sign-up and creates the user's row", async () => {
    const email = newEmail();
    const user = await signUp(email);
    const { body } = await user.request("GET", "/api/auth/session");
    expect(body["session"]).toEqual({ user_id: user.userId, is_admin: false, roles: [] });
    expect(body["user"]).toMatchObject({
      id: user.userId,
      email,
      displayName: email.split("@")[0],
      emailVerified: true,
    });
    expect(Object.keys(body["user"] as object).sort()).toEqual([
      "createdAt",
      "displayName",
      "email",
      "emailVerified",
      "id",
    ]);
  });

  test("can sign in and be changed, and a change ends the other sessions", async () => {
    const email = newEmail();
    const first = await signUp(email);
    const second = as(
      await nobody.request("POST", "/api/auth/password/login", {
        email: ` ${email.toUpperCase()} `,
        password: PASSWORD,
      }),
    );
    expect(second.userId).toBe(first.userId);
    const wrong = await first.request("POST", "/api/auth/password/change", {
      current_password: "nope",
      new_password: "another long one",
    });
    expect([wrong.status, wrong.body["error"]]).toMatchObject([
      401,
      { code: "INVALID_CREDENTIALS", field: "current_password" },
    ]);
    const changed = await first.request("POST", "/api/auth/password/change", {
      current_password: PASSWORD,
      new_password: "another long one",
    });
    expect([changed.status, changed.body]).toMatchObject([
      200,
      { changed: true, user_id: first.userId },
    ]);
    expect((await as(changed).request("GET", "/api/auth/me")).body["user_id"]).toBe(first.userId);
    expect((await as(changed).request("GET", "/api/auth/sessions")).body).toHaveLength(1);
    // T19: anyone else who has this session's token loses access.
    expect((await first.request("GET", "/api/auth/session")).status).toBe(401);
    expect((await second.request("GET", "/api/auth/session")).status).toBe(401);
    expect(
      (await nobody.request("POST", "/api/auth/password/login", { email, password: PASSWORD }))
        .status,
    ).toBe(401);
    expect(
      (
        await nobody.request("POST", "/api/auth/password/login", {
          email,
          password: "another long one",
        })
      ).status,
    ).toBe(200);
    expect((await mail.to(email, 2)).text).toContain("password of your account was changed");
  });

  test("are reset by a link that works once", async () => {
    const email = newEmail();
    const user = await signUp(email);
    expect(
      (await nobody.request("POST", "/api/auth/password/reset/request", { email })).body,
    ).toEqual({ sent: true });
    const { text } = await mail.to(email, 2);
    const link = new URL(/https:\S+/.exec(text)?.[0] ?? "");
    expect(`${link.origin}${link.pathname}${link.search}`).toBe(
      "https://api.example.com/auth/reset",
    );
    const token = link.hash.slice("#token=".length);
    expect(
      (
        await nobody.request("POST", "/api/auth/password/reset/complete", {
          token,
          password: "password1",
        })
      ).body["error"],
    ).toMatchObject({ code: "WEAK_PASSWORD" });
    const all = await Promise.all(
      [1, 2, 3].map((n) =>
        nobody.request("POST", "/api/auth/password/reset/complete", {
          token,
          password: `a new long one ${n}`,
        }),
      ),
    );
    expect(all.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
    expect((await user.request("GET", "/api/auth/session")).status).toBe(401);
  });

  test.each([
    [{ password: PASSWORD }, "MISSING_EMAIL", "email"],
    [{ email: "x@example.com" }, "MISSING_PASSWORD", "password"],
    [{ email: "nonsense", password: PASSWORD }, "INVALID_EMAIL", "email"],
    [{ email: "x@example.com", password: "short" }, "WEAK_PASSWORD", "password"],
    [{ email: "x@example.com", password: "password123" }, "WEAK_PASSWORD", "password"],
    [{ email: "longenough@example.com", password: "LongEnough" }, "WEAK_PASSWORD", "password"],
    [{ email: 5, password: PASSWORD }, "INVALID_DATA", "email"],
    [
      { email: "x@example.com", password: PASSWORD, displayName: ["x"] },
      "INVALID_DATA",
      "displayName",
    ],
  ])("a sign-up with %j is rejected", async (body, code, field) => {
    const answer = await nobody.request("POST", "/api/auth/password/register", body);
    expect([answer.status, answer.body["error"]]).toMatchObject([400, { code, field }]);
  });

  test("the app can reject a sign-up and a sign-in", async () => {
    const refused = "somebody@refused.example";
    await nobody.request("POST", "/api/auth/password/register", {
      email: refused,
      password: PASSWORD,
    });
    const confirmed = await nobody.request("POST", "/api/auth/password/register/confirm", {
      email: refused,
      code: codeIn((await mail.to(refused)).text),
    });
    expect([confirmed.status, confirmed.body["error"]]).toMatchObject([
      403,
      { code: "SIGN_UP_REFUSED" },
    ]);
    const email = newEmail();
    const banned = await signUp(email);
    await new TestClient(server.url, ADMIN_TOKEN).request(
      "PATCH",
      `/api/entities/User/${banned.userId}`,
      { displayName: "banned" },
    );
    const login = await nobody.request("POST", "/api/auth/password/login", {
      email,
      password: PASSWORD,
    });
    expect([login.status, login.body["error"]]).toMatchObject([403, { code: "SIGN_IN_REFUSED" }]);
  });

  test("roles come from the app's claims", async () => {
    const user = await signUp(`staff${Date.now()}@example.com`);
    expect((await user.request("GET", "/api/auth/me")).body["roles"]).toEqual(["staff"]);
  });
});

describe("codes and links", () => {
  test("a code signs a new address up and a known one in", async () => {
    const email = newEmail();
    expect((await nobody.request("POST", "/api/auth/magic/send", { email })).body).toEqual({
      sent: true,
      email,
    });
    const again = await nobody.request("POST", "/api/auth/magic/send", { email });
    expect([again.status, again.body["error"]]).toMatchObject([
      429,
      { retry_after_secs: expect.any(Number) },
    ]);
    const code = codeIn((await mail.to(email)).text);
    const user = as(await nobody.request("POST", "/api/auth/magic/verify", { email, code }));
    expect((await user.request("GET", "/api/auth/me")).body["user_id"]).toBe(user.userId);
    expect((await nobody.request("POST", "/api/auth/magic/verify", { email, code })).status).toBe(
      401,
    );
  });

  test("a link signs in once, and redirects only where the app trusts", async () => {
    const email = newEmail();
    const evil = await nobody.request("POST", "/api/auth/magic-link/send", {
      email,
      callback: "https://app.example.com@evil.example/",
    });
    expect([evil.status, evil.body["error"]]).toMatchObject([
      400,
      { code: "INVALID_REDIRECT", field: "callback" },
    ]);
    const sent = await fetch(`${server.url}/api/auth/magic-link/send`, {
      method: "POST",
      body: JSON.stringify({ email, callback: "https://app.example.com/in" }),
    });
    expect([sent.status, await sent.json()]).toEqual([200, { sent: true, email }]);
    const Cookie = (sent.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const link = /https:\S+/.exec((await mail.to(email)).text)?.[0] ?? "";
    const follow = (): Promise<Response> =>
      fetch(link.replace("https://api.example.com", server.url), {
        redirect: "manual",
        headers: { Cookie },
      });
    const first = await follow();
    expect([first.status, first.headers.get("location")]).toEqual([
      302,
      "https://app.example.com/in",
    ]);
    const cookie =
      first.headers.getSetCookie().find((value) => value.startsWith("notes_session=")) ?? "";
    expect(cookie).toMatch(
      /^notes_session=[^;]+; Max-Age=2592000; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
    const me = await nobody.request("GET", "/api/auth/session", undefined, {
      Cookie: cookie.split(";")[0] ?? "",
    });
    expect(me.body["user"]).toMatchObject({ email });
    expect((await follow()).status).toBe(401);
  });

  test("the code mailed to the new address confirms a change of address", async () => {
    const [email, next] = [newEmail(), newEmail()];
    const user = await signUp(email);
    await user.request("POST", "/api/auth/email/change/request", { new_email: next });
    const { status, body } = await user.request("POST", "/api/auth/email/change/confirm", {
      code: codeIn((await mail.to(next)).text),
    });
    expect([status, body]).toEqual([200, { changed: true, email: next }]);
    expect((await user.request("GET", "/api/auth/session")).body["user"]).toMatchObject({
      email: next,
    });
    expect((await mail.to(email, 2)).text).toContain("address of your account was changed");
  });
});

describe("sessions", () => {
  test("are listed by device without the token, and ended one by one or all", async () => {
    const email = newEmail();
    const first = await signUp(email);
    const second = as(
      await nobody.request(
        "POST",
        "/api/auth/password/login",
        { email, password: PASSWORD },
        { "User-Agent": "A phone" },
      ),
    );
    const answer = await first.request("GET", "/api/auth/sessions");
    const list = answer.body as unknown as { id: string; device: string; current: boolean }[];
    expect(list).toHaveLength(2);
    for (const token of [first.token, second.token])
      expect(answer.text).not.toContain((token ?? "").slice(0, 6));
    const phone = list.find(({ device }) => device === "A phone");
    expect(phone?.current).toBe(false);
    expect((await first.request("DELETE", `/api/auth/sessions/${phone?.id}`)).status).toBe(200);
    expect((await second.request("GET", "/api/auth/session")).status).toBe(401);
    expect((await first.request("DELETE", "/api/auth/sessions")).body).toEqual({
      revoked_count: 1,
    });
    expect((await first.request("GET", "/api/auth/session")).status).toBe(401);
  });

  test("T19: are refreshed to a new token, and the old one is invalid", async () => {
    const user = await signUp(newEmail());
    const fresh = as(await user.request("POST", "/api/auth/refresh"));
    expect(fresh.token).not.toBe(user.token);
    expect(fresh.userId).toBe(user.userId);
    expect((await user.request("GET", "/api/auth/session")).status).toBe(401);
    expect((await fresh.request("GET", "/api/auth/sessions")).body).toHaveLength(1);
  });

  test("T14: close their sockets within a second when they end", async () => {
    const user = await signUp(newEmail());
    const socket = user.live(0);
    await until(() => socket.texts.length > 0);
    await user.request("DELETE", "/api/auth/session");
    await until(() => socket.closed !== null, 1000);
    expect(socket.closed?.code).toBe(4401);
  });

  test("a cookie works only for the app's own origins, and ends with the sign-out", async () => {
    const email = newEmail();
    await signUp(email);
    const response = await fetch(`${server.url}/api/auth/password/login`, {
      method: "POST",
      body: JSON.stringify({ email, password: PASSWORD }),
    });
    const Cookie = (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const send = (
      method: string,
      path: string,
      headers: Record<string, string>,
      body?: unknown,
    ): Promise<Answer> => nobody.request(method, path, body, { Cookie, ...headers });
    const note = { text: "mine" };
    expect(
      (await send("POST", "/api/entities/Note", { Origin: "https://app.example.com" }, note))
        .status,
    ).toBe(201);
    expect((await send("POST", "/api/entities/Note", { Origin: server.url }, note)).status).toBe(
      201,
    );
    for (const Origin of ["https://evil.example", "https://app.example.com.evil.example", "null"]) {
      const answer = await send("POST", "/api/entities/Note", { Origin }, note);
      expect([answer.status, answer.body["error"]]).toMatchObject([403, { code: "CSRF_REJECTED" }]);
      expect((await send("GET", "/api/auth/me", { Origin })).body["user_id"]).toBeNull();
    }
    expect(
      (await send("POST", "/api/entities/Note", { "Sec-Fetch-Site": "cross-site" }, note)).status,
    ).toBe(403);
    const signOut = await send("DELETE", "/api/auth/session", {});
    expect(signOut.status).toBe(200);
    expect((await send("GET", "/api/auth/me", {})).body["user_id"]).toBeNull();
    expect((await send("POST", "/api/entities/Note", {}, note)).status).toBe(401);
  });

  test("a page of another site can't sign a browser in", async () => {
    const answer = await nobody.request("POST", "/api/auth/guest", undefined, {
      Origin: "https://evil.example",
    });
    expect([answer.status, answer.body["error"]]).toMatchObject([403, { code: "CSRF_REJECTED" }]);
  });
});

describe("guests", () => {
  test("become users by signing up and keep their id and rows", async () => {
    const guest = await TestClient.guest(server.url);
    await guest.insert("Note", { text: "of a guest" });
    const user = await signUp(newEmail(), guest);
    expect(user.userId).toBe(guest.userId);
    expect((await user.request("GET", "/api/entities/Note")).body["data"]).toMatchObject([
      { text: "of a guest" },
    ]);
    expect((await guest.request("GET", "/api/auth/session")).status).toBe(401);
  });

  test("bring their rows along when they sign in as an existing user", async () => {
    const email = newEmail();
    const user = await signUp(email);
    const guest = await TestClient.guest(server.url);
    await guest.insert("Note", { text: "of a guest" });
    const signedIn = as(
      await guest.request("POST", "/api/auth/password/login", { email, password: PASSWORD }),
    );
    expect(signedIn.userId).toBe(user.userId);
    expect((await signedIn.request("GET", "/api/entities/Note")).body["data"]).toMatchObject([
      { text: "of a guest", ownerId: user.userId },
    ]);
    expect((await guest.request("GET", "/api/auth/session")).status).toBe(401);
  });
});

describe("hidden fields", () => {
  test("of users are never sent, and can't be queried", async () => {
    const user = await signUp(newEmail());
    const admin = new TestClient(server.url, ADMIN_TOKEN);
    const socket = user.live(0);
    await until(() => socket.texts.length > 0);
    await admin.request("PATCH", `/api/entities/User/${user.userId}`, {
      phone: "the-hidden-number",
      displayName: "Ann",
    });
    await until(() => socket.texts.some((text) => text.includes("Ann")));
    const answers = await Promise.all([
      user.request("GET", "/api/entities/User"),
      user.request("GET", `/api/entities/User/${user.userId}`),
      user.request("GET", "/api/entities/User/cursor"),
      user.request("POST", "/api/query/User", {}),
      user.request("POST", "/api/query", { User: {} }),
      user.request("GET", "/api/sync/pull?since=0"),
      user.request("GET", "/api/sync/pull?since=1"),
      admin.request("GET", `/api/entities/User/${user.userId}`),
      user.request("POST", "/api/query/User", { phone: "the-hidden-number" }),
      user.request("GET", "/api/lookup/User/phone/the-hidden-number"),
      user.request("POST", "/api/aggregate/User", { count: true, groupBy: ["phone"] }),
      user.request("POST", "/api/query/User", { $order: { passwordHash: "asc" } }),
    ]);
    for (const text of [...answers.slice(0, 8).map(({ text }) => text), ...socket.texts]) {
      expect(text).not.toContain("the-hidden-number");
      expect(text).not.toContain("argon2");
    }
    for (const { status } of answers.slice(8)) expect(status).toBe(400);
  });

  test("T8: users can't write the address by which an account signs in", async () => {
    const user = await signUp(newEmail());
    for (const patch of [
      { email: "victim@example.com" },
      { emailVerified: true },
      { passwordHash: "x" },
    ]) {
      const answer = await user.request("PATCH", `/api/entities/User/${user.userId}`, patch);
      expect([answer.status, answer.body["error"]]).toMatchObject([
        400,
        { code: "READONLY_FIELD" },
      ]);
      expect(
        (await user.request("POST", "/api/entities/User", { displayName: "x", ...patch })).status,
      ).toBe(400);
    }
    expect(
      (await user.request("PATCH", `/api/entities/User/${user.userId}`, { displayName: "Fine" }))
        .status,
    ).toBe(200);
  });
});

describe("T20: a response reveals nothing about accounts", () => {
  test("on sign-up, reset, sign-in and code requests", async () => {
    const known = newEmail();
    await signUp(known);
    const pairs = [
      ["/api/auth/password/register", { password: PASSWORD }],
      ["/api/auth/password/reset/request", {}],
      ["/api/auth/password/login", { password: "wrong password" }],
      ["/api/auth/magic/send", {}],
    ] as const;
    for (const [path, body] of pairs) {
      const unknown = newEmail();
      const [ofKnown, ofUnknown] = [
        await nobody.request("POST", path, { email: known, ...body }),
        await nobody.request("POST", path, { email: unknown, ...body }),
      ];
      const plain = (text: string, email: string): string =>
        text.replaceAll(email, "EMAIL").replaceAll(/"(request_id|sign_up_token)":"[^"]*"/g, "");
      expect([ofKnown.status, plain(ofKnown.text, known)]).toEqual([
        ofUnknown.status,
        plain(ofUnknown.text, unknown),
      ]);
    }
    const sent = (): unknown[] =>
      mail.mails.filter(({ to, subject }) => to === known && subject.includes("already"));
    await until(() => sent().length > 0);
    expect(sent()).toHaveLength(1);
  });

  test("guesses are limited: five for a code, ten for a password", async () => {
    const email = newEmail();
    await signUp(email);
    const logins = await Promise.all(
      Array.from({ length: 30 }, () =>
        nobody.request("POST", "/api/auth/password/login", { email, password: "a wrong guess" }),
      ),
    );
    expect(logins.filter(({ status }) => status === 401)).toHaveLength(10);
    expect(logins.filter(({ status }) => status === 429)).toHaveLength(20);
    const other = newEmail();
    await nobody.request("POST", "/api/auth/magic/send", { email: other });
    const guesses = await Promise.all(
      Array.from({ length: 20 }, () =>
        nobody.request("POST", "/api/auth/magic/verify", { email: other, code: "not it" }),
      ),
    );
    expect(guesses.filter(({ status }) => status === 401)).toHaveLength(5);
    const { text } = await mail.to(other);
    expect(
      (await nobody.request("POST", "/api/auth/magic/verify", { email: other, code: codeIn(text) }))
        .status,
    ).toBe(429);
  });
});

describe("deleting an account", () => {
  test("deletes what the user owns, after a fresh sign-in or with the password", async () => {
    const email = newEmail();
    const user = await signUp(email);
    const admin = new TestClient(server.url, ADMIN_TOKEN);
    await user.insert("Note", { text: "to go" });
    const mention = await user.insert("Mention", { userId: user.userId, text: "to stay" });
    const exported = await user.request("GET", "/api/auth/account/export");
    expect(exported.body).toMatchObject({
      user: { email },
      rows: { Note: [{ text: "to go" }], Mention: [{ text: "to stay" }] },
    });
    expect(exported.text).not.toContain("argon2");
    expect(
      (await user.request("DELETE", "/api/auth/account", { password: "wrong one" })).status,
    ).toBe(401);
    expect(
      (await user.request("DELETE", "/api/auth/account", { password: PASSWORD })).body,
    ).toEqual({ deleted: true });
    expect((await user.request("GET", "/api/auth/session")).status).toBe(401);
    expect((await admin.request("POST", "/api/query/Note", { ownerId: user.userId })).body).toEqual(
      [] as never,
    );
    expect(
      (await admin.request("GET", `/api/entities/Mention/${mention}`)).body["userId"],
    ).toBeNull();
    expect((await admin.request("GET", `/api/entities/User/${user.userId}`)).status).toBe(404);
    expect(
      (await nobody.request("POST", "/api/auth/password/login", { email, password: PASSWORD }))
        .status,
    ).toBe(401);
  });

  test("events are in the audit log, visible only to the user", async () => {
    const user = await signUp(newEmail());
    const other = await signUp(newEmail());
    const { body } = await user.request("GET", "/api/auth/audit");
    expect((body as unknown as { event: string }[]).map(({ event }) => event)).toEqual([
      "sign-in",
      "sign-up",
    ]);
    expect((await other.request("GET", "/api/auth/audit")).text).not.toContain(user.userId);
    expect((await nobody.request("GET", "/api/auth/audit")).status).toBe(401);
  });
});
