import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { MAIN_FILE } from "../../packages/cli/src/testing/main-file.ts";
import { TestClient, until, type Answer } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
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

test("T8: an account with another user's address is lost when its owner verifies it", async () => {
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

test("T9: the user comes from the session, whatever the body contains", async () => {
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

test("T10: a mail links to the configured URL, not to the Host of the request", async () => {
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

test("T11: a page of another site can't use the cookie for a socket, also in dev", async () => {
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

test("T13: a public id is not a credential", async () => {
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

test("T19: a token from before a sign-in is invalid, and URLs carry no token", async () => {
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

const CANARIES = {
  PYLON_ADMIN_TOKEN: "canary-admin-token-0123456789",
  PYLON_JWT_SECRET: "canary-jwt-secret-0123456789-0123456789",
  PYLON_SSO_ENCRYPTION_KEY: "canary-encryption-key-0123456789-01234567",
};

/** A server in a separate process, whose output and responses are recorded. */
class RecordedServer {
  readonly #dir = mkdtempSync(join(tmpdir(), "pylon-canary-"));
  readonly #url: string;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #output: Promise<[string, string]>;
  /** The texts of the responses, which must not contain a secret. */
  readonly answers: string[] = [];

  constructor(port: number, mailUrl: string) {
    const sdk = join(import.meta.dir, "../../node_modules/@pylonsync/sdk/src/index.ts");
    writeFileSync(
      join(this.#dir, "app.ts"),
      `import { buildManifest, entity, field, policy } from ${JSON.stringify(sdk)};
export default buildManifest({ name: "shop", version: "1.0.0", entities: [entity("User", {
  email: field.string().unique(), passwordHash: field.string().optional() })], policies: [policy({
    name: "u", entity: "User", allow: "true" })] });`,
    );
    this.#url = `http://127.0.0.1:${port}`;
    this.#child = Bun.spawn(
      [process.execPath, "--no-env-file", MAIN_FILE, "start", this.#dir, "--port", String(port)],
      { env: this.#env(mailUrl), stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    this.#output = Promise.all([
      new Response(this.#child.stdout).text(),
      new Response(this.#child.stderr).text(),
    ]);
  }

  caller(token: string | null = null): TestClient {
    return new TestClient(this.#url, token);
  }

  /** A request whose response is recorded. */
  async ask(...[client, ...request]: [TestClient, ...Parameters<TestClient["request"]>]) {
    const answer = await client.request(...request);
    this.answers.push(answer.text);
    return answer;
  }

  ready(): Promise<void> {
    const isReady = (): Promise<boolean> =>
      fetch(`${this.#url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    return until(isReady, 10_000);
  }

  /** @returns what it wrote to stdout and to stderr */
  async stop(): Promise<[string, string]> {
    this.#child.kill();
    await this.#child.exited;
    rmSync(this.#dir, { recursive: true, force: true });
    return this.#output;
  }

  #env(mailUrl: string): Record<string, string | undefined> {
    return {
      ...process.env,
      ...CANARIES,
      PYLON_HOST: "127.0.0.1",
      PYLON_LOG_LEVEL: "debug",
      PYLON_DB_PATH: join(this.#dir, "pylon.db"),
      PYLON_FILES_DIR: join(this.#dir, "uploads"),
      PYLON_SMTP_URL: mailUrl,
      PYLON_EMAIL_FROM: "shop@example.com",
      PYLON_PUBLIC_URL: "https://shop.example.com",
      PYLON_SINGLE_PORT: "1",
      PYLON_RATE_LIMIT_MAX: "0",
    };
  }
}

interface UserSecrets {
  readonly session: string;
  readonly apiKey: string;
  readonly jwt: string;
  readonly totp: string;
  readonly reset: string;
}

/** Signs a user up, and makes the server create every secret that it gives to a user. */
async function makeSecrets(
  server: RecordedServer,
  mail: MailServer,
  email: string,
): Promise<UserSecrets> {
  const anonymous = server.caller();
  await server.ask(anonymous, "POST", "/api/auth/password/register", { email, password: PASSWORD });
  const code = /\d{6}/.exec((await mail.to(email)).text)?.[0] ?? "";
  const { body } = await anonymous.request("POST", "/api/auth/password/register/confirm", {
    email,
    code,
  });
  const session = body["token"] as string;
  const user = server.caller(session);
  const { body: made } = await user.request("POST", "/api/auth/api-keys", { name: "program" });
  const { body: jwt } = await user.request("POST", "/api/auth/jwt");
  const { body: totp } = await user.request("POST", "/api/auth/totp/enroll");
  await server.ask(anonymous, "POST", "/api/auth/password/reset/request", { email });
  return {
    session,
    apiKey: made["key"] as string,
    jwt: jwt["token"] as string,
    totp: totp["secret"] as string,
    reset: /token=(\S+)/.exec((await mail.to(email, 1, /token=/)).text)?.[1] ?? "",
  };
}

/**
 * Requests whose responses contain the server's data, and requests with secrets that it rejects.
 */
async function callEveryRoute(
  server: RecordedServer,
  email: string,
  { session, apiKey, jwt, reset }: UserSecrets,
): Promise<void> {
  const [anonymous, user] = [server.caller(), server.caller(session)];
  const admin = server.caller(CANARIES.PYLON_ADMIN_TOKEN);
  for (const bad of [`${session}x`, `${apiKey}x`, `${jwt}x`])
    await server.ask(server.caller(bad), "GET", "/api/auth/me");
  for (const path of ["/metrics", "/api/manifest"]) await server.ask(admin, "GET", path);
  for (const path of [
    "/api/entities/User",
    "/api/sync/pull?since=0",
    "/api/auth/sessions",
    "/api/auth/api-keys",
    "/api/auth/audit",
    "/api/auth/account/export",
  ])
    await server.ask(user, "GET", path);
  const wrong: readonly (readonly [path: string, body: unknown])[] = [
    ["/api/auth/password/login", { email, password: `${PASSWORD}!` }],
    ["/api/auth/password/login", `{"email": "${email}", "password": "${PASSWORD}`],
    ["/api/auth/password/reset/complete", { token: reset, password: "short" }],
  ];
  for (const [path, body] of wrong) await server.ask(anonymous, "POST", path, body);
  await server.ask(anonymous, "GET", `/api/auth/magic-link/verify?token=${reset}`);
  await server.ask(anonymous, "GET", "/auth/sign-in");
  // The response repeats the path, but the log must not.
  const headers = { Cookie: `shop_session=${session}` };
  await anonymous.request("GET", `/nothing/${session}`, undefined, headers);
}

test("T18: no secret is in the log, in errors, in metrics or in a page", async () => {
  const email = "canary@example.com";
  const mail = await startMailServer({ user: "mailer", password: "canary-smtp-password" });
  const server = new RecordedServer(await freePort(), mail.url);
  const canaries = ["canary-", PASSWORD, "$argon2"];
  let output: [string, string] = ["", ""];
  try {
    await server.ready();
    const secrets = await makeSecrets(server, mail, email);
    const { session, apiKey, jwt, totp, reset } = secrets;
    canaries.push(session, apiKey.split(".")[2] ?? "", jwt, totp, reset);
    await callEveryRoute(server, email, secrets);
    await mail.stop();
    await server.ask(server.caller(), "POST", "/api/auth/magic/send", {
      email: "other@example.com",
    });
  } finally {
    output = await server.stop();
  }
  expect(output[1]).toContain("a mail could not be sent");
  const everything = [...output, ...server.answers].join("\n");
  // The user's own address is not a secret to them.
  for (const canary of canaries)
    expect([canary.slice(0, 8), everything.replaceAll(email, "").includes(canary)]).toEqual([
      canary.slice(0, 8),
      false,
    ]);
}, 60_000);
