import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { Secret, TOTP } from "otpauth";
import { TestClient, type Answer } from "../support/client.ts";
import { hashAtLowCost } from "../support/fast-passwords.ts";
import { jobsDone } from "../support/jobs-done.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { stillClock } from "../support/still-clock.ts";

// What repeated guesses achieve, over hours and from many addresses.

const app = appOf(
  buildManifest({
    name: "bank",
    version: "1.0.0",
    entities: [
      entity("User", {
        email: field.string().unique(),
        emailVerified: field.bool().default(false),
      }),
    ],
    policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
  }),
);
const PASSWORD = "correct horse battery";
const { platform, now, later } = stillClock();

let mail: MailServer;
let server: TestServer;
let nobody: TestClient;
let number = 0;
const newEmail = (): string => `user${(number += 1)}@example.com`;
/** Each request comes from a different address, unless one is given. */
const from = (address = `198.51.100.${(number += 1) % 250}`): Record<string, string> => ({
  "X-Forwarded-For": address,
});
const post = (path: string, body: unknown, headers = from()): Promise<Answer> =>
  nobody.request("POST", `/api/auth${path}`, body, headers);
const codeTo = async (email: string, count = 1): Promise<string> =>
  /\b\d{6}\b/.exec((await mail.to(email, count)).text)?.[0] ?? "";
const as = ({ body }: Answer): TestClient =>
  new TestClient(server.url, body["token"] as string, body["user_id"] as string);

hashAtLowCost();
beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(
    app,
    {
      PYLON_SMTP_URL: mail.url,
      PYLON_EMAIL_FROM: "bank@example.com",
      PYLON_PUBLIC_URL: "https://bank.example.com",
      PYLON_TRUST_PROXY_HOPS: "1",
      PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32),
    },
    platform,
  );
  nobody = new TestClient(server.url, null);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

test("T20: 20 guesses in 3 hours count, however many codes are requested", async () => {
  const email = newEmail();
  const guess = async (code = "wrong"): Promise<number> =>
    (await post("/magic/verify", { email, code })).status;
  // Without a code there is nothing to guess, so no guess is counted.
  for (let n = 0; n < 30; n += 1) expect(await guess()).toBe(401);
  const looked: number[] = [];
  for (let code = 0; code < 6; code += 1) {
    expect((await post("/magic/send", { email })).status).toBe(200);
    for (let n = 0; n < 6; n += 1) looked.push(await guess());
    await jobsDone(server.url);
    later(61);
  }
  expect(looked.filter((status) => status === 401)).toHaveLength(20);
  expect(looked.filter((status) => status === 429)).toHaveLength(16);
  await post("/magic/send", { email });
  expect(await guess(await codeTo(email, 7))).toBe(429);
  await jobsDone(server.url);
  later(3 * 60 * 60);
  await post("/magic/send", { email });
  expect(await guess(await codeTo(email, 8))).toBe(200);
});

test("T20: a right code resets the count", async () => {
  const email = newEmail();
  for (let round = 0; round < 6; round += 1) {
    await post("/magic/send", { email });
    for (let n = 0; n < 4; n += 1)
      expect((await post("/magic/verify", { email, code: "wrong" })).status).toBe(401);
    expect(
      (await post("/magic/verify", { email, code: await codeTo(email, round + 1) })).status,
    ).toBe(200);
    await jobsDone(server.url);
    later(61);
  }
});

test.each(["ﷺ".repeat(20), "ｐａｓｓｗｏｒｄ１２３"])(
  "the strength of a password is checked in its normalized form: %s",
  async (password) => {
    const answer = await post("/password/register", { email: newEmail(), password });
    expect([answer.status, answer.body["error"]]).toMatchObject([400, { code: "WEAK_PASSWORD" }]);
  },
);

test("T20: an IPv6 network counts as one client, and IPv4 in either form as the same", async () => {
  const statuses = async (address: (n: number) => string): Promise<number[]> => {
    const answers: number[] = [];
    for (let n = 0; n < 60; n += 1)
      answers.push(
        (
          await post(
            "/password/login",
            { email: newEmail(), password: "a wrong guess" },
            from(address(n)),
          )
        ).status,
      );
    return answers;
  };
  expect(
    (await statuses((n) => `2001:db8:7:7::${n.toString(16)}`)).filter((status) => status === 401),
  ).toHaveLength(50);
  expect(
    (await statuses((n) => (n % 2 === 0 ? "203.0.113.9" : "::ffff:203.0.113.9"))).filter(
      (status) => status === 401,
    ),
  ).toHaveLength(50);
  expect(
    (
      await post(
        "/password/login",
        { email: newEmail(), password: "a wrong guess" },
        from("2001:db8:7:8::1"),
      )
    ).status,
  ).toBe(401);
}, 60_000);

test("T20: a sign-up gets the same responses for known and unknown addresses", async () => {
  const known = newEmail();
  await post("/magic/send", { email: known });
  await post("/magic/verify", { email: known, code: await codeTo(known) });
  const unknown = newEmail();
  const asked = async (email: string, headers?: Record<string, string>): Promise<unknown> => {
    const { status, body } = await post(
      "/password/register",
      { email, password: PASSWORD },
      headers,
    );
    return [status, Object.keys(body), (body["error"] as { code?: string } | undefined)?.code];
  };
  const [one, other] = [from(), from()];
  for (const headers of [one, one, other, other, ...Array.from({ length: 8 }, () => from())])
    expect(await asked(known, headers)).toEqual(await asked(unknown, headers));
  // One mail per minute for each client, and five in 15 minutes for all clients together.
  expect(await asked(known)).toMatchObject([429, ["error"], "RATE_LIMITED"]);
  for (const email of [known, unknown]) await mail.to(email, 5);
  await post("/password/login", { email: newEmail(), password: "a wrong guess" });
  expect(
    [known, unknown].map(
      (email) =>
        mail.mails.filter(({ to, subject }) => to === email && !subject.includes("is your code"))
          .length,
    ),
  ).toEqual([5, 5]);
});

test("T20: many accounts can't guess at or mail an address more often than one", async () => {
  const target = newEmail();
  const users: TestClient[] = [];
  for (let n = 0; n < 8; n += 1) {
    const email = newEmail();
    await post("/magic/send", { email });
    users.push(as(await post("/magic/verify", { email, code: await codeTo(email) })));
  }
  const request = (user: TestClient): Promise<Answer> =>
    user.request("POST", "/api/auth/email/change/request", { new_email: target }, from());
  const asked: number[] = [];
  for (const user of users) asked.push((await request(user)).status);
  expect(asked).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
  const confirm = (user: TestClient, headers = from()): Promise<Answer> =>
    user.request("POST", "/api/auth/email/change/confirm", { code: "wrong" }, headers);
  const looked: number[] = [];
  for (const user of users.slice(0, 5))
    for (let n = 0; n < 5; n += 1) looked.push((await confirm(user)).status);
  expect(looked.filter((status) => status === 401)).toHaveLength(20);
  // The limit per client address applies too, even with nothing to guess.
  const here = from();
  const [last] = users.slice(-1);
  const tried: number[] = [];
  for (let n = 0; n < 55; n += 1) tried.push((await confirm(last as TestClient, here)).status);
  expect(tried.filter((status) => status === 401)).toHaveLength(50);
});

test("T20: a reset is recorded for known and unknown addresses alike", async () => {
  const known = newEmail();
  await post("/magic/send", { email: known });
  await post("/magic/verify", { email: known, code: await codeTo(known) });
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const noted = async (): Promise<number> =>
    (
      (await admin.request("GET", "/api/auth/audit?limit=1000")).body as unknown as {
        event: string;
      }[]
    ).filter(({ event }) => event === "password.reset-requested").length;
  const before = await noted();
  for (const email of [known, newEmail()])
    expect((await post("/password/reset/request", { email })).body).toEqual({ sent: true });
  expect(await noted()).toBe(before + 2);
});

test("guesses of a password do not lock its owner out on a trusted device", async () => {
  const email = newEmail();
  await post("/password/register", { email, password: PASSWORD });
  const user = as(await post("/password/register/confirm", { email, code: await codeTo(email) }));
  const totp = new TOTP({
    secret: Secret.fromBase32(
      (await user.request("POST", "/api/auth/totp/enroll", {})).body["secret"] as string,
    ),
  });
  const code = (): string => totp.generate({ timestamp: now() });
  await user.request("POST", "/api/auth/totp/verify", { code: code() });
  await jobsDone(server.url);
  later(60);
  const waiting = await post("/password/login", { email, password: PASSWORD });
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
      response.headers.getSetCookie().find((value) => value.startsWith("bank_session_device=")) ??
      ""
    ).split(";")[0] ?? "";
  for (let n = 0; n < 12; n += 1)
    await post("/password/login", { email, password: "a wrong guess" });
  expect((await post("/password/login", { email, password: PASSWORD })).status).toBe(429);
  expect(
    (await post("/password/login", { email, password: PASSWORD }, { ...from(), Cookie })).status,
  ).toBe(200);
  // Guesses are limited there too.
  const there: number[] = [];
  for (let n = 0; n < 12; n += 1)
    there.push(
      (await post("/password/login", { email, password: "a wrong guess" }, { ...from(), Cookie }))
        .status,
    );
  expect(there.filter((status) => status === 401)).toHaveLength(10);
});

test("the audit log has the attempts: wrong codes, resets, refreshed tokens", async () => {
  const email = newEmail();
  await post("/magic/send", { email });
  await post("/magic/verify", { email, code: "wrong" });
  const first = as(await post("/magic/verify", { email, code: await codeTo(email) }));
  await jobsDone(server.url);
  later(61);
  await post("/magic/send", { email });
  await post("/magic/verify", { email, code: "wrong" });
  await post("/password/reset/request", { email });
  const user = as(await first.request("POST", "/api/auth/refresh"));
  const { body } = await user.request("POST", "/api/auth/totp/enroll", {});
  expect(body["secret"]).toBeString();
  await user.request("POST", "/api/auth/totp/verify", { code: "wrong" });
  const events = (await user.request("GET", "/api/auth/audit")).body as unknown as {
    event: string;
    detail: object;
  }[];
  expect(events.map(({ event }) => event).toReversed()).toEqual([
    "sign-up",
    "sign-in",
    "code.refused",
    "password.reset-requested",
    "session.refreshed",
    "second-factor.refused",
  ]);
});
