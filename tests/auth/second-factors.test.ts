import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { Secret, TOTP } from "otpauth";
import type { Browser } from "playwright-core";
import { addAuthenticator } from "../support/virtual-authenticator.ts";
import { launchBrowser } from "../support/browser.ts";
import { TestClient, type Answer } from "../support/client.ts";
import { jobsDone } from "../support/jobs-done.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";
import { stillClock } from "../support/still-clock.ts";

const PASSWORD = "correct horse battery";
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
const { platform, now, later } = stillClock();

let server: TestServer;
let nobody: TestClient;
let number = 0;

beforeAll(async () => {
  server = await startServer(app, { PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32) }, platform);
  nobody = new TestClient(server.url, null);
});
afterAll(() => server.stop());

const as = ({ body }: Answer): TestClient =>
  new TestClient(server.url, body["token"] as string, body["user_id"] as string);

interface Enrolled {
  readonly user: TestClient;
  readonly email: string;
  readonly code: () => string;
  readonly backupCodes: readonly string[];
}

async function signUp(): Promise<{ user: TestClient; email: string }> {
  const email = `user${(number += 1)}@example.com`;
  return {
    user: as(
      await nobody.request("POST", "/api/auth/password/register", { email, password: PASSWORD }),
    ),
    email,
  };
}

async function enroll(): Promise<Enrolled> {
  const { user, email } = await signUp();
  const { body } = await user.request("POST", "/api/auth/totp/enroll");
  const totp = new TOTP({ secret: Secret.fromBase32(body["secret"] as string) });
  const code = (): string => totp.generate({ timestamp: now() });
  expect(body["otpauth_url"]).toBe(
    `otpauth://totp/bank:${encodeURIComponent(email)}?issuer=bank` +
      `&secret=${String(body["secret"])}&algorithm=SHA1&digits=6&period=30`,
  );
  // Not required before it is confirmed.
  expect((await login(email)).status).toBe(200);
  const enabled = await user.request("POST", "/api/auth/totp/verify", { code: code() });
  expect(enabled.body).toMatchObject({ enabled: true });
  await jobsDone(server.url);
  later(60);
  return { user, email, code, backupCodes: enabled.body["backup_codes"] as string[] };
}

const login = (email: string, headers: Record<string, string> = {}): Promise<Answer> =>
  nobody.request("POST", "/api/auth/password/login", { email, password: PASSWORD }, headers);
const tokenOf = ({ body }: Answer): string => (body["error"] as { mfa_token: string }).mfa_token;

describe("an authenticator app", () => {
  test("is required at each sign-in, and each code works once", async () => {
    const { email, code } = await enroll();
    const first = await login(email);
    expect([first.status, first.body["error"]]).toMatchObject([
      403,
      { code: "MFA_REQUIRED", methods: ["totp"] },
    ]);
    expect(
      (
        await nobody.request("POST", "/api/auth/totp/verify", {
          mfa_token: tokenOf(first),
          code: "000000x",
        })
      ).status,
    ).toBe(401);
    const user = as(
      await nobody.request("POST", "/api/auth/totp/verify", {
        mfa_token: tokenOf(first),
        code: code(),
      }),
    );
    expect((await user.request("GET", "/api/auth/me")).body["user_id"]).toBe(user.userId);
    const second = await login(email);
    expect(
      (
        await nobody.request("POST", "/api/auth/totp/verify", {
          mfa_token: tokenOf(first),
          code: code(),
        })
      ).body["error"],
    ).toMatchObject({ code: "INVALID_TOKEN" });
    expect(
      (
        await nobody.request("POST", "/api/auth/totp/verify", {
          mfa_token: tokenOf(second),
          code: code(),
        })
      ).body["error"],
    ).toMatchObject({ code: "INVALID_CODE" });
    await jobsDone(server.url);
    later(30);
    const both = await Promise.all(
      [1, 2, 3, 4].map(() =>
        nobody.request("POST", "/api/auth/totp/verify", {
          mfa_token: tokenOf(second),
          code: code(),
        }),
      ),
    );
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test("can't be guessed: five attempts in ten minutes", async () => {
    const { email, code } = await enroll();
    const waiting = await login(email);
    const tries = await Promise.all(
      Array.from({ length: 40 }, () =>
        nobody.request("POST", "/api/auth/totp/verify", {
          mfa_token: tokenOf(waiting),
          code: "guess",
        }),
      ),
    );
    expect(tries.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(
      (
        await nobody.request("POST", "/api/auth/totp/verify", {
          mfa_token: tokenOf(waiting),
          code: code(),
        })
      ).status,
    ).toBe(429);
  });

  test("can be replaced by backup codes, each of which works once", async () => {
    const { email, backupCodes } = await enroll();
    expect(backupCodes).toHaveLength(10);
    const use = async (code = ""): Promise<Answer> =>
      nobody.request("POST", "/api/auth/totp/verify", {
        mfa_token: tokenOf(await login(email)),
        code,
      });
    expect((await use(backupCodes[0]?.toUpperCase())).status).toBe(200);
    expect((await use(backupCodes[0])).status).toBe(401);
    const user = as(await use(backupCodes[1]));
    const renewed = await user.request("POST", "/api/auth/totp/backup-codes/regenerate", {
      code: backupCodes[2],
    });
    expect((await use(backupCodes[3])).status).toBe(401);
    expect((await use((renewed.body["backup_codes"] as string[])[0])).status).toBe(200);
  });

  test("is not required on a trusted device, until the trust ends", async () => {
    const { email, code } = await enroll();
    const waiting = tokenOf(await login(email));
    const response = await fetch(`${server.url}/api/auth/totp/verify`, {
      method: "POST",
      body: JSON.stringify({ mfa_token: waiting, code: code(), trust_device: true }),
    });
    const cookie =
      response.headers.getSetCookie().find((value) => value.startsWith("bank_session_device=")) ??
      "";
    expect(cookie).toContain("HttpOnly");
    const Cookie = cookie.split(";")[0] ?? "";
    const trusted = await login(email, { Cookie });
    expect(trusted.status).toBe(200);
    expect((await as(trusted).request("GET", "/api/auth/me")).body["is_trusted_device"]).toBe(true);
    expect((await login(email)).status).toBe(403);
    const other = await enroll();
    expect((await login(other.email, { Cookie })).status).toBe(403);
    const [device] = (await as(trusted).request("GET", "/api/auth/trusted-devices"))
      .body as unknown as { id: string }[];
    expect(
      (await other.user.request("DELETE", `/api/auth/trusted-devices/${device?.id}`)).status,
    ).toBe(404);
    expect(
      (await as(trusted).request("DELETE", `/api/auth/trusted-devices/${device?.id}`)).status,
    ).toBe(200);
    expect((await login(email, { Cookie })).status).toBe(403);
    await jobsDone(server.url);
    later(60);
    const again = await fetch(`${server.url}/api/auth/totp/verify`, {
      method: "POST",
      body: JSON.stringify({
        mfa_token: tokenOf(await login(email)),
        code: code(),
        trust_device: true,
      }),
    });
    const second =
      (
        again.headers.getSetCookie().find((value) => value.startsWith("bank_session_device=")) ?? ""
      ).split(";")[0] ?? "";
    expect((await login(email, { Cookie: second })).status).toBe(200);
    expect((await other.user.request("DELETE", "/api/auth/trusted-devices")).body).toEqual({
      revoked_count: 0,
    });
    expect((await login(email, { Cookie: second })).status).toBe(200);
    expect((await as(trusted).request("DELETE", "/api/auth/trusted-devices")).body).toEqual({
      revoked_count: 1,
    });
    expect((await login(email, { Cookie: second })).status).toBe(403);
  });

  test("can be removed only with a code", async () => {
    const { user, email, code } = await enroll();
    expect((await user.request("POST", "/api/auth/totp/disable", { code: "wrong" })).status).toBe(
      401,
    );
    expect((await user.request("POST", "/api/auth/totp/enroll")).status).toBe(409);
    expect((await user.request("POST", "/api/auth/totp/disable", { code: code() })).body).toEqual({
      disabled: true,
    });
    expect((await login(email)).status).toBe(200);
  });
});

/** Runs in the page: creates a passkey, and signs in with it and with invalid responses. */
async function usePasskey({ email, password }: { email: string; password: string }) {
  const post = async (
    path: string,
    body: unknown,
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(path, { method: "POST", body: JSON.stringify(body) });
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown>,
    };
  };
  await post("/api/auth/password/login", { email, password });
  const creation = (await post("/api/auth/passkey/register/begin", {})).body;
  const made = (await navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(creation as never),
  })) as PublicKeyCredential;
  const registered = await post("/api/auth/passkey/register/finish", {
    ...made.toJSON(),
    name: "My key",
  });
  await fetch("/api/auth/session", { method: "DELETE" });
  const answer = async (): Promise<object> => {
    const request = (await post("/api/auth/passkey/login/begin", {})).body;
    const got = (await navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(request as never),
    })) as PublicKeyCredential;
    return got.toJSON();
  };
  const first = await answer();
  const signedIn = await post("/api/auth/passkey/login/finish", first);
  const again = await post("/api/auth/passkey/login/finish", first);
  const changed = (await answer()) as { response: { signature: string } };
  const signature = changed.response.signature;
  const tampered = await post("/api/auth/passkey/login/finish", {
    ...changed,
    response: {
      ...changed.response,
      signature: (signature[0] === "A" ? "B" : "A") + signature.slice(1),
    },
  });
  const unknown = await post("/api/auth/passkey/login/finish", {
    ...(await answer()),
    id: "unknown",
  });
  return { registered, signedIn, again, tampered, unknown, kept: await answer() };
}

describe("a passkey, in a real browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  test("can be created, and signs in without a password; forgeries and reuse fail", async () => {
    // WebAuthn requires a domain name: an IP address has no passkeys.
    const url = server.url.replace("127.0.0.1", "localhost");
    const page = await (await browser.newContext()).newPage();
    await addAuthenticator(page);
    await page.goto(`${url}/health`);
    const { user, email } = await signUp();
    const outcome = await page.evaluate(usePasskey, { email, password: PASSWORD });

    expect(outcome.registered).toMatchObject({ status: 200, body: { name: "My key" } });
    expect(outcome.signedIn).toMatchObject({ status: 200, body: { user_id: user.userId } });
    for (const refused of [outcome.again, outcome.tampered, outcome.unknown])
      expect(refused).toMatchObject({ status: 401, body: { error: { code: "INVALID_PASSKEY" } } });
    expect(
      (await nobody.request("POST", "/api/auth/passkey/login/finish", outcome.kept)).status,
    ).toBe(401);
    const signedIn = new TestClient(server.url, outcome.signedIn.body["token"] as string);
    const listed = await signedIn.request("GET", "/api/auth/passkey/keys");
    const [key] = listed.body as unknown as { id: string }[];
    const stranger = (await signUp()).user;
    expect((await stranger.request("DELETE", `/api/auth/passkey/keys/${key?.id}`)).status).toBe(
      404,
    );
    expect((await signedIn.request("DELETE", `/api/auth/passkey/keys/${key?.id}`)).status).toBe(
      200,
    );
  }, 60_000);
});
