import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { MAIN_FILE } from "../../packages/cli/src/testing/main-file.ts";
import { TestClient, until, type Answer } from "../support/client.ts";
import { startMailServer } from "../support/mail-server.ts";
import { freePort } from "../support/servers/free-port.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const PASSWORD = "correct horse battery";
const manifest = buildManifest({
  name: "shop",
  version: "1.0.0",
  entities: [
    entity("User", { email: field.string().unique(), emailVerified: field.bool().default(false) }),
  ],
  policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
});

let server: TestServer;
let nobody: TestClient;

beforeAll(async () => {
  server = await startServer(appOf(manifest), { PYLON_DEV_MODE: "1" });
  nobody = new TestClient(server.url, null);
});
afterAll(() => server.stop());

const as = ({ body }: Answer): TestClient =>
  new TestClient(server.url, body["token"] as string, body["user_id"] as string);

test("T8: who signs up with another's address loses it when its owner proves it", async () => {
  const email = "victim@example.com";
  const attacker = as(
    await nobody.request("POST", "/api/auth/password/register", { email, password: PASSWORD }),
  );
  const { body: key } = await attacker.request("POST", "/api/auth/api-keys", {
    name: "a way back",
  });
  await attacker.request("POST", "/api/auth/totp/enroll");
  const socket = attacker.live(0);
  await until(() => socket.texts.length > 0);
  const { body: sent } = await nobody.request("POST", "/api/auth/magic/send", { email });
  const victim = as(
    await nobody.request("POST", "/api/auth/magic/verify", { email, code: sent["dev_code"] }),
  );
  expect((await victim.request("GET", "/api/auth/session")).body["user"]).toMatchObject({
    email,
    emailVerified: true,
  });
  await until(() => socket.closed !== null, 1000);
  expect((await attacker.request("GET", "/api/auth/session")).status).toBe(401);
  expect(
    (await new TestClient(server.url, key["key"] as string).request("GET", "/api/auth/session"))
      .status,
  ).toBe(401);
  expect(
    (await nobody.request("POST", "/api/auth/password/login", { email, password: PASSWORD }))
      .status,
  ).toBe(401);
  expect((await victim.request("GET", "/api/auth/sessions")).body).toHaveLength(1);
});

test("T9: who somebody is comes from the session, whatever a body says", async () => {
  const user = as(
    await nobody.request("POST", "/api/auth/password/register", {
      email: "a@example.com",
      password: PASSWORD,
      user_id: "chosen",
      id: "chosen",
      roles: ["admin"],
      is_admin: true,
      tenant_id: "t",
      emailVerified: true,
    }),
  );
  expect((await user.request("GET", "/api/auth/me")).body).toEqual({
    user_id: user.userId,
    is_admin: false,
    roles: [],
  });
  expect(user.userId).not.toBe("chosen");
  expect((await user.request("GET", "/api/auth/session")).body["user"]).toMatchObject({
    emailVerified: false,
  });
});

test("T10: a mail links to the configured address, not to the request's own", async () => {
  const mail = await startMailServer();
  const env = { PYLON_SMTP_URL: mail.url, PYLON_EMAIL_FROM: "shop@example.com" };
  const [told, untold] = [
    await startServer(appOf(manifest), { ...env, PYLON_PUBLIC_URL: "https://shop.example.com" }),
    await startServer(appOf(manifest), env),
  ];
  try {
    const ask = (server: TestServer, path: string, body: object): Promise<Response> =>
      fetch(`${server.url}${path}`, {
        method: "POST",
        headers: { Host: "evil.example" },
        body: JSON.stringify(body),
      });
    expect(
      (await ask(told, "/api/auth/magic-link/send", { email: "ann@example.com" })).status,
    ).toBe(200);
    expect((await mail.to("ann@example.com")).text).toContain("https://shop.example.com/");
    for (const callback of ["http://evil.example/", "https://evil.example/"])
      expect(
        (await ask(told, "/api/auth/magic-link/send", { email: "ben@example.com", callback }))
          .status,
      ).toBe(400);
    for (const path of ["/api/auth/magic-link/send", "/api/auth/password/reset/request"]) {
      const answer = await ask(untold, path, { email: "cid@example.com" });
      expect([answer.status, await answer.json()]).toMatchObject([
        503,
        { error: { code: "PUBLIC_URL_NOT_CONFIGURED" } },
      ]);
    }
  } finally {
    await Promise.all([told.stop(), untold.stop(), mail.stop()]);
  }
});

test("T11: another site's page opens no socket or stream by cookie, also in dev", async () => {
  const { body } = await nobody.request("POST", "/api/auth/guest");
  const Cookie = `shop_session=${String(body["token"])}`;
  const userOf = async (origin: string): Promise<unknown> =>
    (await nobody.request("GET", "/api/auth/me", undefined, { Cookie, Origin: origin })).body[
      "user_id"
    ];
  expect(await userOf("http://localhost:3000")).toBe(body["user_id"]);
  expect(await userOf("https://evil.example")).toBeUndefined();
  const opened = new WebSocket(`${server.url.replace("http", "ws")}/ws?since=0`, {
    headers: { Cookie, Origin: "https://evil.example" },
  } as never);
  const outcome = await new Promise<string>((resolve) => {
    opened.onclose = () => resolve("closed");
    opened.onerror = () => resolve("closed");
    opened.onmessage = ({ data }) => resolve(String(data));
  });
  opened.close();
  expect(outcome).not.toContain(String(body["user_id"]));
  const rooms = await nobody.request(
    "POST",
    "/api/rooms/join",
    { room: "lobby" },
    { Cookie, Origin: "https://evil.example" },
  );
  expect([rooms.status, rooms.body["error"]]).toMatchObject([403, { code: "ORIGIN_REJECTED" }]);
});

test("T13: whoever knows a public id is nobody by it", async () => {
  const [ann, ben] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  await ann.request("POST", "/api/rooms/join", {
    room: "game",
    user_id: ben.userId,
    data: { name: "Ben" },
  });
  const { body } = await ann.request("GET", "/api/rooms/game");
  expect((body["members"] as { user_id: string }[]).map(({ user_id: id }) => id)).toEqual([
    ann.userId,
  ]);
  const [session] = (await ann.request("GET", "/api/auth/sessions")).body as unknown as {
    id: string;
  }[];
  for (const token of [ann.userId, session?.id ?? ""])
    expect(
      (await new TestClient(server.url, token).request("GET", "/api/auth/session")).status,
    ).toBe(401);
});

test("T19: a token from before a sign-in is worthless, and URLs carry no token", async () => {
  const guest = await TestClient.guest(server.url);
  const user = as(
    await guest.request("POST", "/api/auth/password/register", {
      email: "fixed@example.com",
      password: PASSWORD,
    }),
  );
  expect(user.token).not.toBe(guest.token);
  expect((await guest.request("GET", "/api/auth/session")).status).toBe(401);
  for (const name of ["token", "access_token", "auth"])
    expect(
      (await nobody.request("GET", `/api/auth/me?${name}=${user.token}`)).body["user_id"],
    ).toBeNull();
});

test("T18: no secret is in the log, in errors, in metrics or in a page", async () => {
  const mail = await startMailServer({ user: "mailer", password: "canary-smtp-password" });
  const dir = mkdtempSync(join(tmpdir(), "pylon-canary-"));
  const modules = join(
    import.meta.dir,
    "..",
    "..",
    "node_modules",
    "@pylonsync",
    "sdk",
    "src",
    "index.ts",
  );
  writeFileSync(
    join(dir, "app.ts"),
    `import { buildManifest, entity, field, policy } from ${JSON.stringify(modules)};
export default buildManifest({ name: "shop", version: "1.0.0", entities: [entity("User", {
  email: field.string().unique(), passwordHash: field.string().optional() })], policies: [policy({
    name: "u", entity: "User", allow: "true" })] });`,
  );
  const port = await freePort();
  const secrets = {
    PYLON_ADMIN_TOKEN: "canary-admin-token-0123456789",
    PYLON_JWT_SECRET: "canary-jwt-secret-0123456789-0123456789",
    PYLON_SSO_ENCRYPTION_KEY: "canary-encryption-key-0123456789-01234567",
  };
  const child = Bun.spawn(
    [process.execPath, "--no-env-file", MAIN_FILE, "start", dir, "--port", String(port)],
    {
      env: {
        ...process.env,
        ...secrets,
        PYLON_HOST: "127.0.0.1",
        PYLON_LOG_LEVEL: "debug",
        PYLON_DB_PATH: join(dir, "pylon.db"),
        PYLON_FILES_DIR: join(dir, "uploads"),
        PYLON_SMTP_URL: mail.url,
        PYLON_EMAIL_FROM: "shop@example.com",
        PYLON_PUBLIC_URL: "https://shop.example.com",
        PYLON_SINGLE_PORT: "1",
        PYLON_RATE_LIMIT_MAX: "0",
      },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const output = Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const url = `http://127.0.0.1:${port}`;
  const heard: string[] = [];
  const canaries: string[] = ["canary-", PASSWORD];
  const caller = (token: string | null = null): TestClient => new TestClient(url, token);
  /** An answer in which no canary may be, but those that it is made to give. */
  const ask = async (
    client: TestClient,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer> => {
    const answer = await client.request(method, path, body, headers);
    heard.push(answer.text);
    return answer;
  };
  try {
    await until(async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok === true, 10_000);
    const email = "canary@example.com";
    await ask(caller(), "POST", "/api/auth/password/register", { email, password: PASSWORD });
    const code = /\d{6}/.exec((await mail.to(email)).text)?.[0] ?? "";
    const { body } = await caller().request("POST", "/api/auth/password/register/confirm", {
      email,
      code,
    });
    const token = body["token"] as string;
    const user = caller(token);
    const { body: made } = await user.request("POST", "/api/auth/api-keys", { name: "program" });
    const { body: jwt } = await user.request("POST", "/api/auth/jwt");
    const { body: totp } = await user.request("POST", "/api/auth/totp/enroll");
    canaries.push(
      token,
      (made["key"] as string).split(".")[2] ?? "",
      jwt["token"] as string,
      totp["secret"] as string,
      "$argon2",
    );
    await ask(caller(), "POST", "/api/auth/password/reset/request", { email });
    const reset = /token=(\S+)/.exec((await mail.to(email, 1, /token=/)).text)?.[1] ?? "";
    canaries.push(reset);
    for (const bad of [`${token}x`, `${made["key"] as string}x`, `${jwt["token"] as string}x`])
      await ask(caller(bad), "GET", "/api/auth/me");
    await ask(caller(secrets.PYLON_ADMIN_TOKEN), "GET", "/metrics");
    await ask(caller(secrets.PYLON_ADMIN_TOKEN), "GET", "/api/manifest");
    await ask(user, "GET", "/api/entities/User");
    await ask(user, "GET", "/api/sync/pull?since=0");
    await ask(user, "GET", "/api/auth/sessions");
    await ask(user, "GET", "/api/auth/api-keys");
    await ask(user, "GET", "/api/auth/audit");
    await ask(user, "GET", "/api/auth/account/export");
    await ask(caller(), "POST", "/api/auth/password/login", { email, password: `${PASSWORD}!` });
    await ask(
      caller(),
      "POST",
      "/api/auth/password/login",
      `{"email": "${email}", "password": "${PASSWORD}`,
    );
    await ask(caller(), "POST", "/api/auth/password/reset/complete", {
      token: reset,
      password: "short",
    });
    await ask(caller(), "GET", `/api/auth/magic-link/verify?token=${reset}`);
    await ask(caller(), "GET", "/auth/sign-in");
    await ask(caller(), "GET", `/nothing/${token}`, undefined, {
      Cookie: `shop_session=${token}`,
    }).then(() => heard.pop());
    await mail.stop();
    await ask(caller(), "POST", "/api/auth/magic/send", { email: "other@example.com" });
  } finally {
    child.kill();
    await child.exited;
    rmSync(dir, { recursive: true, force: true });
  }
  const [stdout, stderr] = await output;
  expect(stderr).toContain("a mail was not sent");
  const everything = [stdout, stderr, ...heard].join("\n");
  // Its own address is no secret to the user.
  for (const canary of canaries)
    expect([
      canary.slice(0, 8),
      everything.replaceAll("canary@example.com", "").includes(canary),
    ]).toEqual([canary.slice(0, 8), false]);
}, 60_000);
