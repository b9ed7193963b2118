import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { loadConfig } from "@pylonsync/server";
import { TestClient, type Answer } from "../support/client.ts";
import { OIDC_CLIENT, startOidcProvider, type OidcServer } from "../support/oidc-provider.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

const PASSWORD = "correct horse battery";
const app = appOf(
  buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [
      entity("User", {
        email: field.string().unique(),
        displayName: field.string(),
        emailVerified: field.bool().default(false),
      }),
    ],
    policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
    auth: { trustedOrigins: ["https://app.example.com"] },
  }),
);

let oidc: OidcServer;
let server: TestServer;
let nobody: TestClient;

beforeAll(async () => {
  const port = await freePort();
  oidc = await startOidcProvider(`http://localhost:${port}/api/auth/callback/acme`);
  // In dev mode, because otherwise providers must have https URLs and public addresses.
  const env = {
    PYLON_DEV_MODE: "1",
    PYLON_PORT: String(port),
    PYLON_SINGLE_PORT: "1",
    PYLON_PUBLIC_URL: `http://localhost:${port}`,
    PYLON_OAUTH_ACME_CLIENT_ID: OIDC_CLIENT.id,
    PYLON_OAUTH_ACME_CLIENT_SECRET: OIDC_CLIENT.secret,
    PYLON_OAUTH_ACME_OIDC_ISSUER: oidc.issuer,
  };
  server = await startServer(app, env);
  nobody = new TestClient(server.url, null);
});
afterAll(async () => {
  await server.stop();
  await oidc.stop();
});

interface Begun {
  readonly redirect: string;
  readonly state: string;
  readonly cookie: string;
}

async function begin(query = "", headers: Record<string, string> = {}): Promise<Begun> {
  const response = await fetch(`${server.url}/api/auth/login/acme${query}`, { headers });
  const body = (await response.json()) as { redirect: string; state: string };
  return { ...body, cookie: (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "" };
}

/** Returns from the provider with a browser that has these cookies. */
function finishSignIn(url: string, cookie: string): Promise<Response> {
  return fetch(url.replace(/^http:\/\/localhost/, "http://127.0.0.1"), {
    redirect: "manual",
    headers: { Cookie: cookie },
  });
}

const sessionOf = (response: Response): string =>
  (
    response.headers.getSetCookie().find((cookie) => cookie.startsWith("shop_session=")) ?? ""
  ).split(";")[0] ?? "";
const whoIs = async (cookie: string): Promise<Record<string, unknown> | null> =>
  (await nobody.request("GET", "/api/auth/session", undefined, { Cookie: cookie })).body[
    "user"
  ] as never;
const as = ({ body }: Answer): TestClient =>
  new TestClient(server.url, body["token"] as string, body["user_id"] as string);

async function signIn(login: string, query = ""): Promise<Response> {
  const { redirect, cookie } = await begin(query);
  return finishSignIn(await oidc.signIn(redirect, login), cookie);
}

describe("signing in with an OIDC provider", () => {
  test("creates a user, finds it again, and puts no token into a URL", async () => {
    const { redirect, state } = await begin();
    const params = new URL(redirect).searchParams;
    expect(params.get("code_challenge_method")).toBe("S256");
    expect(params.get("state")).toBe(state);
    const first = await signIn("ann", "?callback=https://app.example.com/in");
    expect([first.status, first.headers.get("location")]).toEqual([
      302,
      "https://app.example.com/in",
    ]);
    const user = await whoIs(sessionOf(first));
    expect(user).toMatchObject({
      email: "ann@example.com",
      displayName: "The ann",
      emailVerified: true,
    });
    const second = await signIn("ann");
    expect((await whoIs(sessionOf(second)))?.["id"]).toBe(user?.["id"]);
    expect((await nobody.request("GET", "/api/auth/providers")).body).toEqual([
      { provider: "acme", auth_url: expect.stringContaining("/api/auth/login/acme") },
    ] as never);
  });

  test("accepts a state once, from the browser that started, before it expires", async () => {
    const { redirect, cookie } = await begin();
    const back = await oidc.signIn(redirect, "ben");
    for (const other of [
      "",
      "pylon_oauth=" + "x".repeat(43),
      cookie.replace("pylon_oauth", "other"),
    ]) {
      const refused = await finishSignIn(back, other);
      expect([refused.status, sessionOf(refused)]).toEqual([400, ""]);
    }
    // The attempt of another browser has used it up.
    expect((await finishSignIn(back, cookie)).status).toBe(400);
    const again = await begin();
    const fine = await oidc.signIn(again.redirect, "ben");
    // A HEAD request for the link does not use it up.
    expect(
      (
        await fetch(fine.replace(/^http:\/\/localhost/, "http://127.0.0.1"), {
          method: "HEAD",
          redirect: "manual",
          headers: { Cookie: again.cookie },
        })
      ).status,
    ).toBe(405);
    expect((await finishSignIn(fine, again.cookie)).status).toBe(302);
    const replayed = await finishSignIn(fine, again.cookie);
    expect([replayed.status, sessionOf(replayed)]).toEqual([400, ""]);
    expect(
      (
        await finishSignIn(
          `${server.url}/api/auth/callback/acme?code=x&state=made-up`,
          again.cookie,
        )
      ).status,
    ).toBe(400);
  });

  test("redirects to the page with an error code, without a session", async () => {
    const { cookie, state } = await begin("?error_callback=/failed");
    const response = await finishSignIn(
      `${server.url}/api/auth/callback/acme?error=access_denied&state=${state}`,
      cookie,
    );
    const target = new URL(response.headers.get("location") ?? "");
    expect([response.status, target.pathname, target.searchParams.get("oauth_error")]).toEqual([
      302,
      "/failed",
      "OAUTH_DENIED",
    ]);
    const forged = await begin("?error_callback=/failed");
    const badCode = await finishSignIn(
      `${server.url}/api/auth/callback/acme?code=guessed&state=${forged.state}` +
        `&iss=${encodeURIComponent(oidc.issuer)}`,
      forged.cookie,
    );
    expect([
      new URL(badCode.headers.get("location") ?? "").searchParams.get("oauth_error"),
      sessionOf(badCode),
    ]).toEqual(["OAUTH_FAILED", ""]);
    expect(badCode.headers.get("location")).not.toContain(OIDC_CLIENT.secret);
  });

  test("T10: redirects only where the app trusts", async () => {
    for (const target of [
      "https://evil.example",
      "//evil.example",
      "https://app.example.com@evil.example",
      "https://app.example.com.evil.example",
      "javascript:alert(1)",
    ]) {
      for (const name of ["callback", "error_callback"]) {
        const answer = await nobody.request(
          "GET",
          `/api/auth/login/acme?${name}=${encodeURIComponent(target)}`,
        );
        expect([target, answer.status, answer.body["error"]]).toMatchObject([
          target,
          400,
          { code: "INVALID_REDIRECT", field: name },
        ]);
      }
    }
  });

  test("T8: joins an existing user only if both sides verified the address", async () => {
    const planted = as(
      await nobody.request("POST", "/api/auth/password/register", {
        email: "cid@example.com",
        password: PASSWORD,
      }),
    );
    const refused = await signIn("cid", "?error_callback=/failed");
    expect([
      new URL(refused.headers.get("location") ?? "").searchParams.get("oauth_error"),
      sessionOf(refused),
    ]).toEqual(["ACCOUNT_EXISTS", ""]);
    expect((await planted.request("GET", "/api/auth/accounts")).body).toEqual([] as never);

    const owner = as(
      await nobody.request("POST", "/api/auth/password/register", {
        email: "dan@example.com",
        password: PASSWORD,
      }),
    );
    const { body: sent } = await owner.request("POST", "/api/auth/email/send-verification");
    await owner.request("POST", "/api/auth/email/verify", { code: sent["dev_code"] });
    const stranger = await signIn("unverified-dan", "?error_callback=/failed");
    expect(sessionOf(stranger)).toBe("");
    const joined = await signIn("dan");
    expect((await whoIs(sessionOf(joined)))?.["id"]).toBe(owner.userId);
    expect((await owner.request("GET", "/api/auth/accounts")).body).toMatchObject([
      { provider: "acme", created_at: expect.stringMatching(/^\d{4}-.*Z$/) as unknown },
    ]);
  });

  test("a signed-in user can link and unlink an account, but not the last way in", async () => {
    const user = as(
      await nobody.request("POST", "/api/auth/password/register", {
        email: "eve@example.com",
        password: PASSWORD,
      }),
    );
    const response = await fetch(`${server.url}/api/auth/oauth/link/acme`, {
      method: "POST",
      body: "{}",
      headers: { Authorization: `Bearer ${user.token}` },
    });
    const { redirect } = (await response.json()) as { redirect: string };
    await finishSignIn(
      await oidc.signIn(redirect, "another-name"),
      (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "",
    );
    const [account] = (await user.request("GET", "/api/auth/accounts")).body as unknown as {
      id: string;
      provider: string;
    }[];
    expect(account?.provider).toBe("acme");
    expect((await whoIs(sessionOf(await signIn("another-name"))))?.["id"]).toBe(user.userId);
    expect((await user.request("DELETE", `/api/auth/accounts/${account?.id}`)).status).toBe(200);
    expect((await user.request("GET", "/api/auth/accounts")).body).toEqual([] as never);
  });

  test("a guest becomes the user, and keeps its id", async () => {
    const guest = await TestClient.guest(server.url);
    const { redirect, cookie } = await begin("", { Authorization: `Bearer ${guest.token}` });
    const response = await finishSignIn(await oidc.signIn(redirect, "fay"), cookie);
    expect((await whoIs(sessionOf(response)))?.["id"]).toBe(guest.userId);
  });
});

test.each([
  [{ PYLON_OAUTH_GOOGLE_CLIENT_ID: "x" }, "PYLON_OAUTH_GOOGLE_CLIENT_SECRET"],
  [{ PYLON_OAUTH_GITHUB_CLIENT_SECRET: "canary-secret" }, "PYLON_OAUTH_GITHUB_CLIENT_ID"],
  [
    { PYLON_OAUTH_NOBODY_CLIENT_ID: "x", PYLON_OAUTH_NOBODY_CLIENT_SECRET: "canary-secret" },
    "PYLON_OAUTH_NOBODY_OIDC_ISSUER",
  ],
  [
    {
      PYLON_OAUTH_ACME_CLIENT_ID: "x",
      PYLON_OAUTH_ACME_CLIENT_SECRET: "canary-secret",
      PYLON_OAUTH_ACME_OIDC_ISSUER: "http://issuer.example",
    },
    "PYLON_OAUTH_ACME_OIDC_ISSUER",
  ],
])("%j prevents the start, with an error that names %s", (env, name) => {
  let message = "";
  try {
    loadConfig(env);
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message).toContain(name);
  expect(message).not.toContain("canary");
});
